// doubles.test.mjs - the doubles are what they claim: `openai` from npm works against the one, the
// Bot API's rules hold in the next, and `twilio` accepts what the last signs
import '../doubles/openai/server.test.js';
import '../doubles/teams/teams-double.test.mjs';
import '../doubles/telegram/telegram-double.test.mjs';
import '../doubles/twilio/twilio-double.test.mjs';
