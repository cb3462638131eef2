/*
 * tools.c - the ICU and Snowball objects that every thread keeps, and small shared helpers
 */
#include "text/text_private.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Process-wide: who asks first makes the key. */
static pthread_once_t tools_once = PTHREAD_ONCE_INIT;
/* Process-wide: the key under which every thread has its own tools, made once. */
static pthread_key_t tools_key;

static void
tools_destroy(void *arg)
{
    struct text_tools *tools = arg;

    ubrk_close(tools->words);
    ubrk_close(tools->sentences);
    ubrk_close(tools->characters);
    utext_close(&tools->text);
    for (size_t i = 0; i < LANG_COUNT; i++)
        if (tools->stemmers[i] != NULL)
            sb_stemmer_delete(tools->stemmers[i]);
    free(tools);
}

static void
tools_make_key(void)
{
    int failed = pthread_key_create(&tools_key, tools_destroy);

    assert(failed == 0);
    (void)failed;
}

struct text_tools *
text_tools_get(void)
{
    struct text_tools *tools;
    UErrorCode code = U_ZERO_ERROR;
    const UText fresh = UTEXT_INITIALIZER;

    pthread_once(&tools_once, tools_make_key);
    tools = pthread_getspecific(tools_key);
    if (tools != NULL)
        return tools;
    tools = calloc(1, sizeof(*tools));
    assert(tools != NULL);
    tools->text = fresh;
    tools->words = ubrk_open(UBRK_WORD, "", NULL, 0, &code);
    tools->sentences = ubrk_open(UBRK_SENTENCE, "", NULL, 0, &code);
    tools->characters = ubrk_open(UBRK_CHARACTER, "", NULL, 0, &code);
    tools->nfkc_casefold = unorm2_getNFKCCasefoldInstance(&code);
    tools->nfc = unorm2_getNFCInstance(&code);
    tools->nfd = unorm2_getNFDInstance(&code);
    assert(U_SUCCESS(code));
    pthread_setspecific(tools_key, tools);
    return tools;
}

void
text_tools_start(struct text_tools *tools, UBreakIterator *iterator, struct str text)
{
    UErrorCode code = U_ZERO_ERROR;

    utext_openUTF8(&tools->text, text.ptr == NULL ? "" : text.ptr, (int64_t)text.len, &code);
    ubrk_setUText(iterator, &tools->text, &code);
    assert(U_SUCCESS(code));
}

struct sb_stemmer *
text_tools_stemmer(struct text_tools *tools, enum text_language_id id)
{
    if (id == LANG_NONE || text_language_row(id)->stemmer == NULL)
        return NULL;
    if (tools->stemmers[id] == NULL) {
        tools->stemmers[id] = sb_stemmer_new(text_language_row(id)->stemmer, "UTF_8");
        assert(tools->stemmers[id] != NULL);
    }
    return tools->stemmers[id];
}

bool
text_is_ascii(struct str text)
{
    size_t i = 0;

    for (; i + 8 <= text.len; i += 8) {
        uint64_t block;

        memcpy(&block, text.ptr + i, sizeof(block));
        if ((block & UINT64_C(0x8080808080808080)) != 0)
            return false;
    }
    for (; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}

void
text_span_add(struct text_span_list *list, size_t start, size_t end)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct text_span *grown = ARENA_NEW_N(list->arena, struct text_span, capacity);

        if (list->count > 0)
            memcpy(grown, list->spans, list->count * sizeof(*grown));
        list->spans = grown;
        list->capacity = capacity;
    }
    list->spans[list->count++] = (struct text_span){start, end};
}
