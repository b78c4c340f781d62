//! One state of the world: small, so that ten million of them fit.
//!
//! What is large (records, memories, steps) is kept once and referred to by number. Versions of objects are not numbers
//! here: whoever holds one only has to know whether the object has changed since, so each holder has a flag.

use std::ops::{Index, IndexMut};

use crate::token::{ATTEMPTS, Object, Token, Viewer};

/// Pods that can exist at the same time.
pub const PODS: usize = 2;
/// Replicas that a state has room for.
pub const REPLICAS: usize = 3;

/// Numbers of things that are kept once, see `operator`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct RecordId(pub u32);
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct MemoryId(pub u32);
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct EffectId(pub u32);
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct StampId(pub u32);

impl RecordId {
    pub const ABSENT: Self = Self(0);
}

/// The target as it is, or as somebody read it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    pub exists: bool,
    /// Whose labels it carries.
    pub of: Object,
    /// What it carries, value and annotation.
    pub carries: Token,
    /// The attempt that is fenced off.
    pub fence: u8,
    /// Tells one that was made anew from the one before.
    pub uid: u8,
    /// Nobody can change it any more.
    pub immutable: bool,
}

impl Target {
    /// What is left of it when it is deleted.
    pub fn deleted(self) -> Self {
        Self { uid: self.uid, ..Self::default() }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Life {
    #[default]
    None,
    Running,
    /// It has a deletion timestamp and goes on using what it holds.
    Terminating,
    /// Deleted by force: not listed any more, and its process runs until its kubelet hears of it.
    Vanished,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Pod {
    pub uid: u8,
    pub life: Life,
    /// The token in its process; where images are pulled with it, the one that its kubelet pulls with.
    pub holds: Token,
    /// Its kubelet has been at it for a tick.
    pub pulled: bool,
    /// Its template was stamped since it started.
    pub outdated: bool,
    /// How long, in ticks, its node has been in contact since it vanished.
    pub contact: u8,
    /// Which replicas were watching when it vanished, one bit each.
    pub seen: u8,
}

/// What the owner of the object wants.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Wish {
    pub exists: bool,
    pub deleting: bool,
    /// How often a rotation was asked for.
    pub rotations: u8,
}

/// What there is of one object.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Own {
    pub wish: Wish,
    pub record: RecordId,
    /// A copy of the record that somebody has made.
    pub backup: RecordId,
    /// Somebody has restored or deleted the record.
    pub went_back: bool,
    /// The highest sequence that was published.
    pub newest: u8,
}

/// A pod as one replica knows it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct PodSeen {
    pub uid: u8,
    pub life: Life,
    pub contact: u8,
    /// It saw how the pod vanished.
    pub seen: bool,
}

/// What the list of pods shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Listed {
    pub pods: [PodSeen; PODS],
    /// UIDs below this one have existed.
    pub born: u8,
    pub stamp: StampId,
    pub wanted: bool,
    pub node_ready: bool,
}

/// How a verification went.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    #[default]
    Works,
    Insufficient,
    NotYet,
}

/// What a look at a token showed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Seen {
    #[default]
    Alive,
    Refused,
    Gone,
}

/// What a look has been told so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Answers {
    pub preflight: bool,
    pub listing: Option<[Token; 6]>,
    pub verified: [(Token, Verdict); 3],
    /// Tokens whose life was asked for.
    pub lives: [(Token, Seen); 6],
    pub consumers: Option<Listed>,
}

impl Answers {
    pub fn verified(&mut self, token: Token, verdict: Verdict) {
        note(&mut self.verified, token, verdict);
    }

    pub fn looked_at(&mut self, token: Token, seen: Seen) {
        note(&mut self.lives, token, seen);
    }
}

/// Puts an answer into the first free place.
fn note<T: Copy>(answers: &mut [(Token, T)], token: Token, answer: T) {
    let free = answers.iter_mut().find(|(asked, _)| asked.is_none());
    *free.expect("a look asks for few tokens") = (token, answer);
}

/// What a decision still wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ask {
    Listing,
    Preflight,
    Verify(Token),
    Liveness(Token),
    Consumers,
}

/// The two reads that a decision is based on, and whether the objects have changed since.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Base {
    pub target: Target,
    pub target_changed: bool,
    pub record: RecordId,
    pub record_changed: bool,
    /// A token was killed since: what is decided now cannot know.
    pub news: bool,
    /// A tick has passed since.
    pub old: bool,
    pub viewer: Viewer,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Activity {
    #[default]
    Idle,
    /// It has made the first of two reads.
    Halfway(Base),
    /// It looks something up for its decision.
    Asking { base: Base, memory: MemoryId, answers: Answers, ask: Ask },
    /// It is about to do something.
    Acting { base: Base, effect: EffectId },
    /// It holds a token that is in no record yet.
    Storing { token: Token, base: Base },
    /// It could not store its token and revokes it.
    Discarding { token: Token },
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Replica {
    pub memory: MemoryId,
    /// It watches the pods: a rotation or a deletion is under way.
    pub watching: bool,
    /// What the object said when this reconcile began: it is read once, however many steps follow.
    pub wish: Option<Wish>,
    /// A token that was verified in this reconcile, and for which that still counts.
    pub works: Token,
    pub activity: Activity,
}

/// A request that was sent, whose sender believes it failed, and that will still be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Late {
    Effect { base: Base, effect: EffectId },
    Store { base: Base, token: Token },
    Discard { token: Token },
}

/// What may still happen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Budget {
    pub rotations: u8,
    pub crashes: u8,
    /// Answers that get lost, requests that fail or arrive late.
    pub lost: u8,
    /// Pods that start by themselves.
    pub starts: u8,
    /// Containers that restart in place.
    pub restarts: u8,
    /// Verifications that find a token wanting.
    pub refusals: u8,
    /// Tokens that somebody else kills at the provider.
    pub deaths: u8,
    /// How often the provider, or a gateway before it, refuses a living token for a while.
    pub mutes: u8,
    /// Targets that somebody deletes.
    pub deletes: u8,
    /// Copies of the target in another namespace.
    pub copies: u8,
    /// Workloads that somebody scales up again.
    pub scale_ups: u8,
    /// Targets that somebody sets back.
    pub reverts: u8,
    /// Records that are restored from a backup.
    pub restores: u8,
    /// Records that somebody deletes.
    pub losses: u8,
    /// Pods that are deleted by force.
    pub forced: u8,
    /// Targets that somebody makes immutable.
    pub freezes: u8,
    /// The object that may be deleted.
    pub deletion: Option<Object>,
    /// Somebody may take the finalizer off an object that is being deleted.
    pub strip: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// By object.
    pub own: [Own; Object::ALL.len()],
    /// The Secret that all of them name.
    pub target: Target,
    pub backup_target: Target,
    /// The stranger's Secret, a copy with the labels of ours, and whether pods use it.
    pub copy: Target,
    pub copy_used: bool,
    /// By place: which token was created.
    pub created: [Token; ATTEMPTS * Object::ALL.len()],
    pub alive: u32,
    /// Where there is one token and the one before it: the attempts whose token is the one, and the other.
    pub present: u32,
    pub former: u32,
    /// Attempts that were ever in the target.
    pub published: u32,
    /// Attempts that somebody else has killed: not our fault.
    pub killed: u32,
    /// Attempts whose tokens are refused and not listed, though they live, and for how many ticks that lasted.
    pub mute: u32,
    pub muted_for: u8,
    /// Attempts whose tokens may do too little.
    pub wanting: u32,
    /// What the kubelet keeps of an immutable target while a pod uses it.
    pub was_immutable: Token,
    /// What starting pods may still read: contents of the target in this tick and in the one before.
    pub readable: [u32; 2],
    /// Attempts that a pod held in this tick.
    pub held: u32,
    pub pods: [Pod; PODS],
    pub born: u8,
    /// The workload wants pods.
    pub wanted: bool,
    pub node_ready: bool,
    pub stamp: StampId,
    pub replicas: [Replica; REPLICAS],
    pub late: Option<Late>,
    pub budget: Budget,
    /// The first promise that was broken.
    pub broken: Option<&'static str>,
}

impl State {
    pub fn is_alive(&self, token: Token) -> bool {
        self.alive & token.bit() != 0
    }

    /// Whether a process of some pod holds a token.
    pub fn is_held(&self, token: Token) -> bool {
        self.pods.iter().any(|pod| pod.life != Life::None && pod.holds == token)
    }

    pub fn broke(&mut self, promise: &'static str) {
        self.broken.get_or_insert(promise);
    }

    /// What somebody who looks finds where the target of its owner is.
    pub fn target_of(&self, viewer: Viewer) -> Target {
        match viewer {
            Viewer::Of(_) => self.target,
            Viewer::Stranger => self.copy,
        }
    }

    pub fn live_tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.created.iter().copied().filter(|token| !token.is_none() && self.is_alive(*token))
    }

    pub fn live_tokens_of(&self, object: Object) -> impl Iterator<Item = Token> + '_ {
        self.live_tokens().filter(move |token| token.object() == object)
    }
}

impl Index<Object> for State {
    type Output = Own;

    fn index(&self, object: Object) -> &Own {
        &self.own[object as usize]
    }
}

impl IndexMut<Object> for State {
    fn index_mut(&mut self, object: Object) -> &mut Own {
        &mut self.own[object as usize]
    }
}
