/* A process with a thread and a child, and system calls with known arguments: what happens to it is what it prints. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *turn(void *argument)
{
    syscall(SYS_lseek, -7, 1234, 99);
    return argument;
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, turn, 0);
    pthread_join(thread, 0);
    pid_t child = fork();
    if (child == 0) {
        syscall(SYS_lseek, -8, 5678, 98);
        _exit(0);
    }
    waitpid(child, 0, 0);
    printf("process %d child %d\n", getpid(), child);
    return 0;
}
