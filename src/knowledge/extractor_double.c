/*
 * extractor_double.c - a parley-extract that misbehaves as the document asks: for extractor_test.c
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "knowledge/extract_protocol.h"

static void
say(const void *bytes, size_t len)
{
    if (write(STDOUT_FILENO, bytes, len) != (ssize_t)len)
        _exit(3);
}

#define SAY(literal) say("" literal, sizeof(literal) - 1)

static void
say_for_ever(void)
{
    char piece[65536];

    memset(piece, 'x', sizeof(piece));
    SAY(EXTRACT_MAGIC "P\0\xff\xff\xff\x7f");
    for (;;)
        say(piece, sizeof(piece));
}

int
main(void)
{
    char wish[64] = "";
    size_t len = 0;
    ssize_t n;

    if (getenv("PATH") != NULL)
        return 9; /* an environment was given */
    /* "deaf" is for one who never listens: the first bytes tell. */
    while (len + 1 < sizeof(wish) &&
           (n = read(STDIN_FILENO, wish + len, sizeof(wish) - 1 - len)) > 0)
        len += (size_t)n;
    if (strncmp(wish, "deaf", 4) == 0) {
        SAY(EXTRACT_MAGIC "X\1\4\0\0\0deaf");
        return 0;
    }
    if (strcmp(wish, "hang") == 0)
        for (;;)
            pause();
    if (strcmp(wish, "crash") == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
        raise(SIGSEGV);
    }
    if (strcmp(wish, "killed") == 0)
        raise(SIGKILL);
    if (strcmp(wish, "slow") == 0)
        raise(SIGXCPU);
    if (strcmp(wish, "flood") == 0)
        say_for_ever();
    if (strcmp(wish, "status") == 0)
        return 5;
    if (strcmp(wish, "half") == 0)
        SAY(EXTRACT_MAGIC "P\0\x04\0\0\0te");
    if (strcmp(wish, "more") == 0)
        SAY(EXTRACT_MAGIC "P\0\x01\0\0\0aE\0\1\0\0\0"
                          "1P\0\1\0\0\0b");
    if (strcmp(wish, "count") == 0)
        SAY(EXTRACT_MAGIC "P\0\x01\0\0\0aE\0\1\0\0\0"
                          "2");
    if (strcmp(wish, "nothing") == 0)
        SAY(EXTRACT_MAGIC "E\0\1\0\0\0"
                          "0");
    if (strcmp(wish, "kind") == 0)
        SAY(EXTRACT_MAGIC "?\0\x01\0\0\0aE\0\1\0\0\0"
                          "1");
    if (strcmp(wish, "level") == 0)
        SAY(EXTRACT_MAGIC "H\x09\x01\0\0\0aE\0\1\0\0\0"
                          "1");
    if (strcmp(wish, "page") == 0)
        SAY(EXTRACT_MAGIC "N\0\x01\0\0\0"
                          "0P\0\x01\0\0\0aE\0\1\0\0\0"
                          "1");
    if (strcmp(wish, "pictures") == 0)
        SAY(EXTRACT_MAGIC "U\0\x01\0\0\0aE\0\1\0\0\0"
                          "0");
    if (strcmp(wish, "label") == 0)
        SAY(EXTRACT_MAGIC "G\0\0\0\0\0P\0\x01\0\0\0aE\0\1\0\0\0"
                          "1");
    if (strcmp(wish, "utf-8") == 0)
        SAY(EXTRACT_MAGIC "P\0\x01\0\0\0\xff"
                          "E\0\1\0\0\0"
                          "1");
    if (strcmp(wish, "nul") == 0)
        SAY(EXTRACT_MAGIC "P\0\x01\0\0\0\0E\0\1\0\0\0"
                          "1");
    if (strcmp(wish, "blame") == 0)
        SAY(EXTRACT_MAGIC "X\3\4\0\0\0oops");
    if (strcmp(wish, "refuse") == 0)
        SAY(EXTRACT_MAGIC "X\1\x08\0\0\0Not so!\n");
    return 0;
}
