/* A disk that fails, between a program and the C library: preloaded (LD_PRELOAD), and told by the program itself what to
 * do. What it is not told to touch goes through as it is. Files are known by what /proc/self/fd says of a descriptor.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char bad_file[4096], small_folder[4096];
static off_t bad_from, bad_to;
static int sync_kind, sync_error, no_syncs, journal = -1;
static unsigned turn;

/* Reads of that file fail from one byte on to another; what lies before is given. */
void disk_fail_reads(const char *path, long from, long to) {
    strncpy(bad_file, path, sizeof bad_file - 1);
    bad_from = from, bad_to = to;
}

/* Reads and writes of files in that folder are interrupted every third time, and else give or take a few bytes only. */
void disk_small_pieces(const char *folder) { strncpy(small_folder, folder, sizeof small_folder - 1); }

/* fsync of files (S_IFREG) or of folders (S_IFDIR) fails. */
void disk_fail_syncs(int kind, int error) { sync_kind = kind, sync_error = error; }

/* fsync succeeds without waiting for the disk: a kill loses nothing that the system has, and others use the disk too. */
void disk_spare_syncs(void) { no_syncs = 1; }

/* A line for every fsync, every rename and every write to stdout, as they happen. */
void disk_journal(int descriptor) { journal = descriptor; }

static const char *path_of(int descriptor) {
    static __thread char path[4096];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t count = readlink(link, path, sizeof path - 1);
    path[count < 0 ? 0 : count] = 0;
    return path;
}

/* How much of a transfer goes through: -1, with errno, for nothing. */
static ssize_t allowed(int descriptor, size_t count, off_t position, int reading) {
    if (!count || (!*bad_file && !*small_folder)) return count;
    const char *path = path_of(descriptor);
    if (reading && *bad_file && !strcmp(path, bad_file)) {
        if (position < 0) position = lseek(descriptor, 0, SEEK_CUR);
        if (position >= bad_from && position < bad_to) return errno = EIO, -1;
        if (position < bad_from && position + (off_t)count > bad_from) return bad_from - position;
    }
    if (*small_folder && !strncmp(path, small_folder, strlen(small_folder))) {
        unsigned now = __sync_add_and_fetch(&turn, 1);
        if (now % 3 == 0) return errno = EINTR, -1;
        size_t most = 1 + now * 7919u % 3001;
        if (count > most) return most;
    }
    return count;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SEQUENTIAL(name, buffer_type, reading)                          \
    ssize_t name(int fd, buffer_type buffer, size_t count) {            \
        if (!reading && fd == 1 && journal >= 0) dprintf(journal, "stdout\n"); \
        ssize_t some = allowed(fd, count, -1, reading);                 \
        return some < 0 ? -1 : NEXT(name)(fd, buffer, some);            \
    }
SEQUENTIAL(read, void *, 1)
SEQUENTIAL(write, const void *, 0)

#define POSITIONAL(name, buffer_type, reading)                                 \
    ssize_t name(int fd, buffer_type buffer, size_t count, off_t position) {   \
        ssize_t some = allowed(fd, count, position, reading);                  \
        return some < 0 ? -1 : NEXT(name)(fd, buffer, some, position);         \
    }
POSITIONAL(pread, void *, 1)
POSITIONAL(pread64, void *, 1)
POSITIONAL(pwrite, const void *, 0)
POSITIONAL(pwrite64, const void *, 0)

/* A transfer of several pieces may always stop after the first. */
#define VECTOR(name, one, reading, more, ...)                                                       \
    ssize_t name(int fd, const struct iovec *pieces, int number, off_t position more) {             \
        if (!*bad_file && !*small_folder) return NEXT(name)(fd, pieces, number, position __VA_ARGS__); \
        return number ? one(fd, pieces->iov_base, pieces->iov_len, position) : 0;                   \
    }
#define COMMA ,
VECTOR(preadv, pread, 1, )
VECTOR(preadv64, pread, 1, )
VECTOR(preadv2, pread, 1, COMMA int flags, COMMA flags)
VECTOR(preadv64v2, pread, 1, COMMA int flags, COMMA flags)
VECTOR(pwritev, pwrite, 0, )
VECTOR(pwritev64, pwrite, 0, )
VECTOR(pwritev2, pwrite, 0, COMMA int flags, COMMA flags)
VECTOR(pwritev64v2, pwrite, 0, COMMA int flags, COMMA flags)

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t count, unsigned flags) {
    ssize_t some = allowed(from, count, from_at ? *from_at : -1, 1);
    return some < 0 ? -1 : NEXT(copy_file_range)(from, from_at, to, to_at, some, flags);
}

int fsync(int fd) {
    struct stat status;
    if (journal >= 0) dprintf(journal, "fsync %s\n", path_of(fd));
    if (sync_kind && !fstat(fd, &status) && (status.st_mode & S_IFMT) == (mode_t)sync_kind) return errno = sync_error, -1;
    return no_syncs ? 0 : NEXT(fsync)(fd);
}

int rename(const char *from, const char *to) {
    if (journal >= 0) dprintf(journal, "rename %s\n", to);
    return NEXT(rename)(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    if (journal >= 0) dprintf(journal, "rename %s\n", to);
    return NEXT(renameat2)(from_folder, from, to_folder, to, flags);
}
