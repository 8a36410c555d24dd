/* What is supervised: it tells a FIFO its name and pid, in one write of 32 bytes, and waits for a signal.
 * Usage: reporter FIFO NAME, where a NAME of $WORD is taken from the environment. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char record[64], *name = argv[2];
    int fifo;
    if (argc < 3 || (*name == '$' && !(name = getenv(name + 1))))
        return 2;
    snprintf(record, sizeof record, "%-20.20s %10d\n", name, (int)getpid());
    if ((fifo = open(argv[1], O_WRONLY)) < 0 || write(fifo, record, 32) != 32)
        return 1;
    close(fifo);
    for (;;)
        pause();
}
