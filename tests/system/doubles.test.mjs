// doubles.test.mjs - the doubles are what they claim: the Bot API's rules hold in Telegram's, and libraries
// from npm believe the others: `openai`, `botframework-connector`, `@slack/bolt`, `twilio`, `whatsapp-api-js`
import '../doubles/meta/instagram-double.test.mjs';
import '../doubles/meta/whatsapp-double.test.mjs';
import '../doubles/openai/server.test.js';
import '../doubles/slack/slack-double.test.mjs';
import '../doubles/teams/teams-double.test.mjs';
import '../doubles/telegram/telegram-double.test.mjs';
import '../doubles/twilio/twilio-double.test.mjs';
