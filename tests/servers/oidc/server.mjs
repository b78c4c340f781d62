// An authorization server for the tests: client credentials (RFC 6749), introspection (RFC 7662), revocation (RFC 7009).
//
//   node server.mjs CLIENT_ID CLIENT_SECRET      prints its port when it answers, and ends with its standard input
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const [client_id, client_secret] = process.argv.slice(2);
const scopes = 'api:read api:write';
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id, client_secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: scopes }],
    scopes: ['openid', ...scopes.split(' ')],
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async () => true },
      revocation: { enabled: true, allowedPolicy: async () => true },
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
