// doubles.test.mjs - the doubles are what they claim: `openai` from npm works against the one, the
// Bot API's rules hold in the other
import '../doubles/openai/server.test.js';
import '../doubles/telegram/telegram-double.test.mjs';
