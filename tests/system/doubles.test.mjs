// doubles.test.mjs - the doubles are what they claim: `openai` from npm works against the one, the
// Bot API's rules hold in the next, and `twilio` and `whatsapp-api-js` accept what theirs sign
import '../doubles/meta/whatsapp-double.test.mjs';
import '../doubles/openai/server.test.js';
import '../doubles/teams/teams-double.test.mjs';
import '../doubles/telegram/telegram-double.test.mjs';
import '../doubles/twilio/twilio-double.test.mjs';
