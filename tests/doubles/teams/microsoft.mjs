// microsoft.mjs - what Microsoft's own library (botframework-connector) makes of an activity: as a bot that was posted
// one, and as a client that is to send one
import connector from 'botframework-connector';

const { AuthenticationConfiguration, BotFrameworkAuthenticationFactory, ConnectorClient, JwtTokenValidation, PasswordServiceClientCredentialFactory,
  SimpleCredentialProvider } = connector;

// Rejects unless a bot of this id and password, written with that library, would take it: by both of its ways.
// activity: of the double. Gives the claims by name.
export async function authenticate(teams, bot, activity, authorization) {
  const { tenant_id: tenant, openid_metadata: metadata, login_base: login } = teams.settings();
  const credentials = new PasswordServiceClientCredentialFactory(bot.appId, bot.password, tenant);
  const bots = BotFrameworkAuthenticationFactory.create('', true, `${login}/${tenant}`, 'https://api.botframework.com', 'https://api.botframework.com',
    'https://api.botframework.com', metadata, metadata, '', credentials, new AuthenticationConfiguration());
  const { claimsIdentity } = await bots.authenticateRequest(activity, authorization);
  const identity = await JwtTokenValidation.authenticateRequest(activity, authorization, new SimpleCredentialProvider(bot.appId, bot.password), '');
  if (!identity.isAuthenticated || !claimsIdentity.isAuthenticated) throw new Error('not authenticated');
  return Object.fromEntries(identity.claims.map(({ type, value }) => [type, value]));
}

// The same activity as that library would send it: what it does not know is left out, and a wrong type rejects. Of
// entities it knows the type alone.
export async function asSent(activity) {
  let body;
  const client = new ConnectorClient({ signRequest: async (request) => request }, {
    baseUri: 'https://smba.test/',
    httpClient: {
      sendRequest: async (request) => {
        body = JSON.parse(request.body);
        return { request, status: 201, headers: request.headers.clone(), bodyAsText: '{"id":"1"}' };
      },
    },
  });
  await client.conversations.sendToConversation('a:1', activity);
  return body;
}

// Activities that a bot sent to the double, as they came.
export const activitiesOf = (teams) => teams.requests.filter(({ method, path }) => ['POST', 'PUT'].includes(method) && path.includes('/activities'))
  .map(({ body }) => JSON.parse(body));

// What of them Microsoft's library would have sent otherwise: [] when they are as it writes them.
export async function unlikeMicrosoft(activities) {
  const found = [];
  for (const activity of activities) {
    const want = { ...activity, ...(activity.entities ? { entities: activity.entities.map(({ type }) => ({ type })) } : {}) };
    const got = await asSent(activity).catch((error) => error.message);
    if (JSON.stringify(sorted(got)) !== JSON.stringify(sorted(want))) found.push({ want, got });
  }
  return found;
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}
