/* Preloaded into a program: starts it many times, each time as a fork at the beginning of main(),
 * when its libraries are loaded already. A request on standard input is "SIZE\n" and so many bytes,
 * the arguments, each ended by a NUL; the answer on standard output is "STATUS SECONDS
 * KILOBYTES\n", as waitpid and getrusage tell them. What the program prints goes into the files out
 * and err of its folder. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int (*real_main)(int, char**, char**);

static void redirect(const char* file, int flags, int to) {
  const int opened = open(file, flags, 0644);
  if (opened < 0 || dup2(opened, to) < 0) _exit(120);
  close(opened);
}

static int start(char* program, char* text, size_t size, char** environment) {
  static char* arguments[4096];
  const struct rlimit seconds = {20, 25};
  int count = 0;
  arguments[count++] = program;
  for (size_t at = 0; at < size && count < 4095; at += strlen(text + at) + 1)
    arguments[count++] = text + at;
  redirect("/dev/null", O_RDONLY, 0);
  redirect("out", O_WRONLY | O_CREAT | O_TRUNC, 1);
  redirect("err", O_WRONLY | O_CREAT | O_TRUNC, 2);
  setrlimit(RLIMIT_CPU, &seconds);
  return real_main(count, arguments, environment);
}

static int serve(int count, char** arguments, char** environment) {
  size_t size = 0;
  (void)count;
  while (scanf("%zu", &size) == 1 && getchar() == '\n') {
    char* text = calloc(size + 1, 1);
    struct rusage used;
    int status = 0;
    if (text == NULL || fread(text, 1, size, stdin) != size) return 121;
    const pid_t child = fork();
    if (child == 0) exit(start(arguments[0], text, size, environment));
    if (child < 0 || wait4(child, &status, 0, &used) != child) return 122;
    printf("%d %f %ld\n", status,
           (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
               1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec),
           used.ru_maxrss);
    fflush(stdout);
    free(text);
  }
  return 0;
}

typedef int (*start_main)(int (*)(int, char**, char**), int, char**, void (*)(void), void (*)(void),
                          void (*)(void), void*);

int __libc_start_main(int (*main)(int, char**, char**), int count, char** arguments,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void* stack_end) {
  const start_main plain = (start_main)dlsym(RTLD_NEXT, "__libc_start_main");
  real_main = main;
  unsetenv("LD_PRELOAD");
  return plain(serve, count, arguments, init, fini, rtld_fini, stack_end);
}
