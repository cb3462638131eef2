/*
 * mutate.c - runs a fuzzer without libFuzzer: its corpus, then bent copies of it, the same ones
 * every time
 *
 * NAME_fuzz RUNS SECONDS FOLDER: every file of FOLDER, then up to RUNS inputs made of them, for
 * SECONDS at most. `make test` runs the fuzzers so, in the build that all tests have; `make fuzz`
 * looks for what is new, led by coverage. An input that fails, or takes longer than ten seconds,
 * stays in the file NAME_fuzz.input of the working directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define AT_DEATH(fn) __sanitizer_set_death_callback(fn)
#else
#define AT_DEATH(fn) ((void)(fn))
#endif

#define INPUT_MAX ((size_t)65536)
#define CORPUS_MAX 1024
#define HANGS_AFTER_S 10
#define BENDS_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct input corpus[CORPUS_MAX];
static size_t corpus_count;

static uint8_t current[INPUT_MAX];
static volatile size_t current_size;
static char kept_as[256];

static void
die(const char *what, const char *about)
{
    (void)fprintf(stderr, "fuzz: cannot %s %s: %s\n", what, about, strerror(errno));
    exit(2);
}

/* What was being read stays. */
static void
keep_input(void)
{
    int fd = open(kept_as, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd >= 0) {
        (void)!write(fd, current, current_size);
        (void)close(fd);
    }
}

static void
on_signal(int signal_number)
{
    keep_input();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static void
keep_input_at_death(void)
{
    (void)signal(SIGABRT, on_signal);
    (void)signal(SIGALRM, on_signal);
    AT_DEATH(keep_input);
}

/* --- corpus --- */

static struct input
read_input(const char *path)
{
    struct input input = {.bytes = malloc(INPUT_MAX)};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count;

    if (fd < 0 || input.bytes == NULL)
        die("open", path);
    while (input.size < INPUT_MAX &&
           (count = read(fd, input.bytes + input.size, INPUT_MAX - input.size)) != 0) {
        if (count < 0)
            die("read", path);
        input.size += (size_t)count;
    }
    (void)close(fd);
    return input;
}

static int
is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void
read_corpus(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_file, alphasort);

    if (count <= 0 || count > CORPUS_MAX)
        die("find a corpus in", folder);
    for (int i = 0; i < count; i++) {
        char path[4096];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        corpus[corpus_count++] = read_input(path);
        free(entries[i]);
    }
    free(entries);
}

/* --- bending --- */

static uint64_t
random_next(uint64_t *state) /* splitmix64, Steele, Lea, Flood 2014 */
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t
below(uint64_t *state, size_t limit)
{
    return limit == 0 ? 0 : (size_t)(random_next(state) % limit);
}

/* In place of `removed` bytes at `at` stand `count` bytes of another place. */
static void
replace(size_t at, size_t removed, const uint8_t *bytes, size_t count)
{
    static uint8_t inserted[INPUT_MAX];
    size_t tail = current_size - at - removed;

    if (at + count + tail > INPUT_MAX)
        return;
    memcpy(inserted, bytes, count);
    memmove(current + at + count, current + at + removed, tail);
    memcpy(current + at, inserted, count);
    current_size = at + count + tail;
}

/* Bytes that parsers care for, and those at the edges of what a byte can be. */
static const char telling[] =
    "{}[]()<>\"'\\/:,;=&%?#@|*_~`-+.\r\n\t 0919aZ\0\x01\x7f\x80\xbf\xc0\xe2\xed\xf4\xff";

static void
bend_once(uint64_t *state)
{
    size_t at = below(state, current_size + 1);
    size_t left = current_size - at;
    size_t some = below(state, left < 64 ? left + 1 : 64);
    const struct input *other = &corpus[below(state, corpus_count)];
    size_t from = below(state, other->size);
    size_t taken = below(state, other->size - from + 1);
    uint8_t byte = (uint8_t)telling[below(state, sizeof(telling) - 1)];

    switch (below(state, 8)) {
    case 0: /* a bit */
        if (left > 0)
            current[at] ^= (uint8_t)(1U << below(state, 8));
        break;
    case 1: /* another byte */
        replace(at, left > 0, &byte, 1);
        break;
    case 2: /* one more */
        replace(at, 0, &byte, 1);
        break;
    case 3: /* some are missing */
        replace(at, some, current, 0);
        break;
    case 4: /* some are there again */
        replace(at, 0, current + at, some);
        break;
    case 5: /* the end is missing */
        current_size = at;
        break;
    case 6: /* some of another input */
        replace(at, some, other->bytes + from, taken < 64 ? taken : 64);
        break;
    default: /* goes on as another input does */
        replace(at, left, other->bytes + from, other->size - from);
    }
}

/* --- running --- */

/* On bytes that end where they end, so that reading on is seen. */
static void
run_current(void)
{
    size_t size = current_size;
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL)
        die("allocate", "an input");
    memcpy(copy, current, size);
    (void)alarm(HANGS_AFTER_S);
    (void)LLVMFuzzerTestOneInput(copy, size);
    (void)alarm(0);
    free(copy);
}

static void
take(const struct input *input)
{
    if (input->size > 0)
        memcpy(current, input->bytes, input->size);
    current_size = input->size;
}

int
main(int argc, char **argv)
{
    uint64_t state = 1;
    char *name;
    long runs, ends, made = 0;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s RUNS SECONDS FOLDER\n", argv[0]);
        return 2;
    }
    name = strrchr(argv[0], '/');
    (void)snprintf(kept_as, sizeof(kept_as), "%.200s.input", name != NULL ? name + 1 : argv[0]);
    keep_input_at_death();
    runs = strtol(argv[1], NULL, 10);
    ends = (long)time(NULL) + strtol(argv[2], NULL, 10);
    read_corpus(argv[3]);
    for (size_t i = 0; i < corpus_count; i++) {
        take(&corpus[i]);
        run_current();
    }
    for (; made < runs && (long)time(NULL) < ends; made++) {
        take(&corpus[below(&state, corpus_count)]);
        for (size_t bends = 1 + below(&state, BENDS_MAX); bends > 0; bends--)
            bend_once(&state);
        run_current();
    }
    printf("%zu files of the corpus, %ld bent copies\n", corpus_count, made);
    for (size_t i = 0; i < corpus_count; i++)
        free(corpus[i].bytes);
    return 0;
}
