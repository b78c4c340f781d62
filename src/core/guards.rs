//! The guards of the protocol by name, so that the model can take one away and show what it is for.
//!
//! In every ordinary build all of them hold and asking costs nothing. With the feature `model`, which no released binary
//! has, a set of them can be taken away; a guard without which the model finds nothing wrong has no reason to exist.

macro_rules! guards {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One condition that the protocol waits for, or one order that it keeps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Guard {
            $($(#[$doc])* $name,)*
        }

        impl Guard {
            /// Every guard; the model has to miss each of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

guards! {
    /// A record is acted on only by a reconcile of the object that it names: namespace, name and UID.
    OwnRecord,
    /// The snapshot is taken no earlier than the settle time after the write of the target.
    Settle,
    /// Left-overs are swept, and a token is minted, only under an intent that this process committed.
    OwnIntent,
    /// One create for each intent.
    CreateOnce,
    /// A token is shown for its successor only while it is known to be alive.
    ReplacesAlive,
    /// Every attempt has a number of its own.
    NewAttempt,
    /// Left-overs of attempts whose answers were lost are revoked.
    Sweep,
    /// Tokens of attempts newer than the record that was read are not swept.
    SweepKnownAttempts,
    /// Tokens that the record knows are not swept.
    SweepSparesRecord,
    /// A token that this process has published is not swept, whatever the record says.
    SweepSparesPublished,
    /// A token is published only after the provider accepted it.
    VerifyFirst,
    /// A pending token that the target carries is not judged as one that was never published.
    GoOnWithPublished,
    /// A token that is refused after this process saw it published is not revoked.
    KeepPublished,
    /// A refused token is fenced off from the target before it is revoked.
    Fence,
    /// After an immutable target, holders are counted only when nobody uses it.
    Frozen,
    /// The pods that may hold the old token are noted before the rollout.
    Snapshot,
    /// Pods that vanished without a last report are noted too.
    SnapshotVanished,
    /// Every pod of the snapshot has to be gone.
    Pickup,
    /// Kubelets that pull images with the Secret have read it since.
    ImagePulls,
    /// The grace period is served.
    Grace,
    /// The target still carries the new token when the old one is revoked.
    TargetStillNew,
    /// When the target did not carry the new token all the time, the pods are counted anew.
    Reopen,
    /// The evidence is in the record before the revoke.
    Evidence,
    /// The old token is revoked only while the new one works.
    NewWorks,
    /// The old token is forgotten only when the provider refuses it.
    ConfirmDead,
    /// A token that nobody here has ended is dead only when it was refused several times.
    SeveralRefusals,
    /// A token that a call can revoke is forgotten only after that call, also when the provider refuses it already.
    RevokeFirst,
    /// A published token that was replaced because it was refused stays in the record until no pod can hold it.
    KeepPresumedDead,
    /// The intent of another replica is left to it for a while.
    ForeignIntent,
    /// A lost record is rebuilt, not begun anew.
    LostRecord,
    /// After a rebuild that knows no token, the pods that use the Secret count as holders of one all the same.
    LostHolders,
    /// A record that is older than the target and the list is rebuilt.
    StaleRecord,
    /// After a rebuild, tokens of a past that is not known are not swept.
    UnknownPast,
    /// On deletion, no token is revoked while a pod may hold it.
    RetirePickup,
    /// On deletion, the pods are counted anew when the Secret has become somebody else's.
    RetireHandOver,
    /// On deletion, the Secret goes before its tokens do.
    RetireTarget,
    /// On deletion, a publish that was decided on before can no longer be sent when tokens are revoked.
    RetireSettle,
    /// On deletion, left-overs of attempts are revoked too.
    RetireSweep,
    /// On deletion, the intent of another replica is taken over before its left-overs are swept.
    RetireTakeOver,
    /// The record goes only when every token is dead.
    RetireDead,
}

/// Which guards hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Guards {
    #[cfg(feature = "model")]
    without: Option<Guard>,
}

impl Guards {
    /// Whether a guard holds; always, outside the model.
    #[must_use]
    pub fn hold(self, guard: Guard) -> bool {
        #[cfg(feature = "model")]
        return self.without != Some(guard);
        #[cfg(not(feature = "model"))]
        {
            let _ = guard;
            true
        }
    }

    /// All but one.
    #[cfg(feature = "model")]
    #[must_use]
    pub fn without(guard: Guard) -> Self {
        Self { without: Some(guard) }
    }
}
