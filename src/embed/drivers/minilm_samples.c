/*
 * minilm_samples.c - the sentences
 */
#include "embed/drivers/minilm_samples.h"

#include <stddef.h>

const char *const minilm_samples[] = {
    "Thanks!",
    "Thank you very much.",
    "Hello",
    "ok",
    "Yes, please.",
    "?",
    "Not yet",
    "What about the deposit?",
    "Where is my parcel?",
    "When does the shop open on Saturday?",
    "How long does it take until a refund is on my card?",
    "My card was declined twice today although there is enough money in the account.",
    "Can I bring my dog into the guest house, and what does it cost per night?",
    "I ordered the blue one, size 42, but a red one came. Order number A-10023-77.",
    "¿Puedo cambiar la fecha de mi reserva?",
    "Wie kann ich meine Rechnung als PDF bekommen?",
    "この商品はいつ届きますか",
    "https://example.com/help?topic=returns&lang=en",
    "Opening hours: Mon-Fri 9:00-18:00, Sat 10:00-14:00, closed on Sundays and public holidays.",
    "Error 503 (0x80070057): the parameter is incorrect; retry after 120 seconds.",
    "The boundary layer of a flat plate in a supersonic stream is heated by friction, and the heat "
    "that "
    "flows into the wall depends on the pressure gradient and on the roughness of the surface.",
    "An algorithm is described that sorts n records in place with fewer than n log n comparisons "
    "on "
    "the average, and its behaviour is compared with that of a merge of runs on magnetic tape.",
    "In 1893 the engineer, by then sixty years old, moved back to the city where he had studied, "
    "and "
    "there he built the first of the three bridges for which people still remember his name.",
    "Employees who work more than thirty hours in a week are entitled to paid leave. Leave is "
    "earned "
    "from the first day of employment at a rate of 2.5 days a month, must be agreed with the team "
    "at "
    "least two weeks ahead, and expires at the end of March of the following year unless illness "
    "or an "
    "urgent project made it impossible to take it. Unused days are paid out only when the contract "
    "ends. For unpaid leave, sabbaticals and parental leave, see the pages of the staff handbook "
    "that "
    "are listed below, or write to the people team, who answer within one working day.",
    "Net revenue rose by 7.4 % to $1,284.6 million in the quarter that ended on 30 September, from "
    "$1,196.1 million a year earlier. Gross margin was 41.2 % (38.9 %), helped by lower freight "
    "costs "
    "and a larger share of services; operating expenses grew by 3.1 %, mostly for research. The "
    "tax "
    "rate was 21.6 %. Diluted earnings per share came to $1.37. The company returned $310 million "
    "to "
    "shareholders, of which $240 million were buybacks, and ended the period with $2.9 billion in "
    "cash "
    "and short-term investments. For the full year it expects revenue between $5.1 and $5.2 "
    "billion.",
    "The tenant shall keep the premises clean, shall not make alterations without the landlord's "
    "consent in writing, and shall allow entry for repairs on 24 hours' notice.",
    "- Step 1: hold the power button for ten seconds\n- Step 2: wait until the light is green\n- "
    "Step 3: "
    "open the app, choose \"Add device\", and scan the code on the back",
    "She sells sea shells; he doesn't. It's 5 o'clock somewhere, isn't it?! (Just asking...)",
    "aaaa bbbb cccc dddd 1111 2222 3333 4444",
    "The court held that the appeal was filed in time, because the clerk's office had been closed "
    "on the "
    "last day of the period and the period therefore ran until the next day on which it was open.",
    "Water boils at 100 degrees Celsius at sea level, and at about 90 degrees on a mountain of "
    "3,000 "
    "metres.",
    NULL,
};
