// An authorization server for the tests: client credentials (RFC 6749), introspection (RFC 7662), revocation (RFC 7009), discovery
// (RFC 8414, OpenID Connect), client assertions (RFC 7523), tokens that are bound to a key (RFC 9449), registration of clients
// (RFC 7591, 7592) with the initial access token `initial`.
//
//   node server.mjs CLIENTS [nonce]      prints its port when it answers, and ends with its standard input
//
// With `nonce` proofs of possession have to hold one. CLIENTS is a JSON array of client metadata (RFC 7591). `public_key`, a key in PEM, becomes `jwks`.
import { createPublicKey } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const scopes = 'api:read api:write';
const clients = JSON.parse(process.argv[2]).map(({ public_key, ...client }) => ({
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope: scopes,
  ...(public_key && { jwks: { keys: [createPublicKey(public_key).export({ format: 'jwk' })] } }),
  ...client,
}));
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients,
    scopes: ['openid', ...scopes.split(' ')],
    ttl: { ClientCredentials: 600 },
    enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async () => true },
      revocation: { enabled: true, allowedPolicy: async () => true },
      registration: { enabled: true, initialAccessToken: 'initial' },
      registrationManagement: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1), requireNonce: () => process.argv[3] === 'nonce' },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:api',
        useGrantedResource: () => true,
        getResourceServerInfo: (_, audience) => ({ scope: scopes, audience, accessTokenTTL: 600, accessTokenFormat: 'opaque' }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(port);
});
process.stdin.resume().on('end', () => process.exit(0));
