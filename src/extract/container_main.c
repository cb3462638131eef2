/*
 * container_main.c - parley-extract-container: archives and mail, which hold other documents
 *
 * A program of its own because of what it is linked with: the others start faster without.
 */
#include "extract/members.h"
#include "extract/program.h"

int
main(int argc, char **argv)
{
    mail_prepare();
    return extract_program(argc, argv, container_find,
                           &(struct program_options){.files_fail = true});
}
