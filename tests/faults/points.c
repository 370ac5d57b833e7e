/* Faults at the calls that write: a library that is loaded before the C library (LD_PRELOAD) and stands before its
 * calls. Every call that changes something below one folder is a point: it is counted and written into a journal. At
 * the chosen point the process is killed, before the call or after half of a write; or this call and those that follow
 * fail, as on a full or a read-only disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { NONE, KILL, KILL_HALFWAY, FULL, READ_ONLY };
enum effect { TAKES_SPACE, CHANGES };
enum { HALFWAY = -1 };

static char folder[PATH_MAX];
static int journal = -1;
static enum fault chosen;
static long chosen_point;
static atomic_long points;

/* Begin to count; `fault` happens at point `at`, which counts from 1. */
void faults_arm(const char *below, const char *journal_path, int fault, long at) {
    snprintf(folder, sizeof folder, "%s/", below);
    chosen = fault;
    chosen_point = at;
    journal = syscall(SYS_openat, AT_FDCWD, journal_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void die(void) { syscall(SYS_kill, syscall(SYS_getpid), SIGKILL); pause(); }

static void path_of_descriptor(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

static void absolute(int directory, const char *name, char *path) {
    char start[PATH_MAX] = "";
    if (name[0] != '/') {
        if (directory == AT_FDCWD) { if (!getcwd(start, sizeof start)) start[0] = 0; }
        else path_of_descriptor(directory, start);
        strncat(start, "/", sizeof start - strlen(start) - 1);
    }
    snprintf(path, PATH_MAX, "%.2000s%.2000s", start, name);
}

/* What happens at this call: 0, it is made; HALFWAY, half of it is, and the process dies; else the error it fails with. */
static int strike(const char *call, enum effect effect, const char *path, const char *source) {
    if (journal < 0 || strncmp(path, folder, strlen(folder))) return 0;
    long point = atomic_fetch_add(&points, 1) + 1;
    char line[3 * PATH_MAX];
    int length = snprintf(line, sizeof line, "%ld\t%s\t%d\t%s\t%s\n", point, call, effect, path, source);
    syscall(SYS_write, journal, line, length);
    if (chosen == KILL && point == chosen_point) die();
    if (chosen == KILL_HALFWAY && point == chosen_point) return HALFWAY;
    if (chosen == FULL && point >= chosen_point && effect == TAKES_SPACE) return ENOSPC;
    if (chosen == READ_ONLY && point >= chosen_point) return EROFS;
    return 0;
}

static int strike_descriptor(const char *call, enum effect effect, int descriptor) {
    if (journal < 0) return 0;
    char path[PATH_MAX];
    path_of_descriptor(descriptor, path);
    return strike(call, effect, path, "");
}

static int strike_at(const char *call, enum effect effect, int directory, const char *name) {
    if (journal < 0) return 0;
    char path[PATH_MAX];
    absolute(directory, name, path);
    return strike(call, effect, path, "");
}

static int strike_two(const char *call, int from, const char *source, int to, const char *target) {
    if (journal < 0) return 0;
    char path[PATH_MAX], before[PATH_MAX];
    absolute(to, target, path);
    absolute(from, source, before);
    return strike(call, CHANGES, path, before);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_OR_DIE(error) do { if ((error) == HALFWAY) die(); if (error) { errno = (error); return -1; } } while (0)

static int strike_open(int directory, const char *name, int flags) {
    if (journal < 0 || !(flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) || flags & O_PATH) return 0;
    struct stat there;
    char path[PATH_MAX];
    absolute(directory, name, path);
    int is_new = flags & O_CREAT && lstat(path, &there) != 0;
    return strike(is_new ? "create" : "open", is_new ? TAKES_SPACE : CHANGES, path, "");
}

#define MODE(flags) mode_t mode = 0; do { if ((flags) & (O_CREAT | __O_TMPFILE)) { \
    va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); } } while (0)
#define OPEN(name) int name(const char *path, int flags, ...) { MODE(flags); \
    int error = strike_open(AT_FDCWD, path, flags); FAIL_OR_DIE(error); return REAL(name)(path, flags, mode); }
#define OPENAT(name) int name(int directory, const char *path, int flags, ...) { MODE(flags); \
    int error = strike_open(directory, path, flags); FAIL_OR_DIE(error); return REAL(name)(directory, path, flags, mode); }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

#define FOPEN(name) FILE *name(const char *path, const char *how) { \
    int flags = how[0] == 'r' ? (strchr(how, '+') ? O_RDWR : O_RDONLY) : O_WRONLY | O_CREAT; \
    int error = strike_open(AT_FDCWD, path, flags); \
    if (error == HALFWAY) die(); \
    if (error) { errno = error; return NULL; } \
    return REAL(name)(path, how); }
FOPEN(fopen) FOPEN(fopen64)

#define WRITE(name, real, ...) { int error = strike_descriptor("write", TAKES_SPACE, descriptor); \
    if (error == HALFWAY) { size = size / 2; real(__VA_ARGS__); die(); } FAIL_OR_DIE(error); return real(__VA_ARGS__); }
ssize_t write(int descriptor, const void *data, size_t size)
    WRITE(write, REAL(write), descriptor, data, size)
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
    WRITE(pwrite, REAL(pwrite), descriptor, data, size, offset)
ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset)
    WRITE(pwrite64, REAL(pwrite64), descriptor, data, size, offset)
ssize_t sendfile(int descriptor, int source, off_t *offset, size_t size)
    WRITE(sendfile, REAL(sendfile), descriptor, source, offset, size)
ssize_t copy_file_range(int source, off64_t *from, int descriptor, off64_t *to, size_t size, unsigned flags)
    WRITE(copy_file_range, REAL(copy_file_range), source, from, descriptor, to, size, flags)

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    int error = strike_descriptor("write", TAKES_SPACE, descriptor);
    if (error == HALFWAY) { REAL(writev)(descriptor, parts, count / 2); die(); }
    FAIL_OR_DIE(error);
    return REAL(writev)(descriptor, parts, count);
}

#define OF_DESCRIPTOR(name, effect) int name(int descriptor) { \
    int error = strike_descriptor(#name, effect, descriptor); FAIL_OR_DIE(error); return REAL(name)(descriptor); }
OF_DESCRIPTOR(fsync, TAKES_SPACE) OF_DESCRIPTOR(fdatasync, TAKES_SPACE)

int ftruncate(int descriptor, off_t size) {
    int error = strike_descriptor("truncate", TAKES_SPACE, descriptor);
    FAIL_OR_DIE(error);
    return REAL(ftruncate)(descriptor, size);
}
int ftruncate64(int descriptor, off64_t size) {
    int error = strike_descriptor("truncate", TAKES_SPACE, descriptor);
    FAIL_OR_DIE(error);
    return REAL(ftruncate64)(descriptor, size);
}

static int strike_mkdir(int directory, const char *name) {
    char path[PATH_MAX];
    struct stat there;
    if (journal < 0) return 0;
    absolute(directory, name, path);
    return lstat(path, &there) == 0 ? 0 : strike("mkdir", TAKES_SPACE, path, "");  /* else it changes nothing */
}
int mkdir(const char *path, mode_t mode) {
    int error = strike_mkdir(AT_FDCWD, path);
    FAIL_OR_DIE(error);
    return REAL(mkdir)(path, mode);
}
int mkdirat(int directory, const char *path, mode_t mode) {
    int error = strike_mkdir(directory, path);
    FAIL_OR_DIE(error);
    return REAL(mkdirat)(directory, path, mode);
}
int rmdir(const char *path) {
    int error = strike_at("rmdir", CHANGES, AT_FDCWD, path);
    FAIL_OR_DIE(error);
    return REAL(rmdir)(path);
}
int unlink(const char *path) {
    int error = strike_at("unlink", CHANGES, AT_FDCWD, path);
    FAIL_OR_DIE(error);
    return REAL(unlink)(path);
}
int unlinkat(int directory, const char *path, int flags) {
    int error = strike_at(flags & AT_REMOVEDIR ? "rmdir" : "unlink", CHANGES, directory, path);
    FAIL_OR_DIE(error);
    return REAL(unlinkat)(directory, path, flags);
}
int rename(const char *source, const char *target) {
    int error = strike_two("rename", AT_FDCWD, source, AT_FDCWD, target);
    FAIL_OR_DIE(error);
    return REAL(rename)(source, target);
}
int renameat(int from, const char *source, int to, const char *target) {
    int error = strike_two("rename", from, source, to, target);
    FAIL_OR_DIE(error);
    return REAL(renameat)(from, source, to, target);
}
int renameat2(int from, const char *source, int to, const char *target, unsigned flags) {
    int error = strike_two("rename", from, source, to, target);
    FAIL_OR_DIE(error);
    return REAL(renameat2)(from, source, to, target, flags);
}
int link(const char *source, const char *target) {
    int error = strike_two("link", AT_FDCWD, source, AT_FDCWD, target);
    FAIL_OR_DIE(error);
    return REAL(link)(source, target);
}
int linkat(int from, const char *source, int to, const char *target, int flags) {
    int error = strike_two("link", from, source, to, target);
    FAIL_OR_DIE(error);
    return REAL(linkat)(from, source, to, target, flags);
}
