/* The kernel's part and nothing else: COUNT processes with two pipes each, a dead one replaced, all ended at a SIGTERM.
 * Usage: floor COUNT PROGRAM [WORD...]; each gets its number as a last word. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    pid_t pid;
    int out, err;
};

static void start(struct child *child, long number, char **words, int last)
{
    static char name[24];
    sigset_t none;
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
        perror("pipe");
        exit(1);
    }
    snprintf(name, sizeof name, "%ld", number + 1);
    words[last] = name;
    sigemptyset(&none);
    child->pid = vfork();
    if (child->pid == 0) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        dup2(out[1], 1);
        dup2(err[1], 2);
        execv(words[0], words);
        _exit(127);
    }
    if (child->pid < 0) {
        perror("vfork");
        exit(1);
    }
    close(out[1]);
    close(err[1]);
    child->out = out[0];
    child->err = err[0];
}

static void replace(struct child *children, long count, char **words, int last)
{
    pid_t pid;
    long at;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (at = 0; at < count && children[at].pid != pid; at++)
            ;
        if (at == count)
            continue;
        close(children[at].out);
        close(children[at].err);
        start(&children[at], at, words, last);
    }
}

int main(int argc, char **argv)
{
    long count = atol(argv[1]), at;
    struct child *children = calloc(count, sizeof *children);
    char **words = calloc(argc, sizeof *words);
    int last = argc - 2, signum;
    sigset_t ours;
    for (at = 0; at < last; at++)
        words[at] = argv[at + 2];
    sigemptyset(&ours);
    sigaddset(&ours, SIGCHLD);
    sigaddset(&ours, SIGTERM);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    for (at = 0; at < count; at++)
        start(&children[at], at, words, last);
    while (sigwait(&ours, &signum) == 0 && signum == SIGCHLD)
        replace(children, count, words, last);
    for (at = 0; at < count; at++)
        kill(children[at].pid, SIGTERM);
    while (wait(NULL) > 0)
        ;
    return 0;
}
