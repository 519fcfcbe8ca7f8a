/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/server/notify.h"
#include "runtime/server/socket.h"

struct place {
    char folder[64];
    char path[96];
    char lock[104];
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    if (!p) return -1;
    strcpy(p->folder, "/tmp/quire-test-XXXXXX");
    if (!mkdtemp(p->folder)) return -1;
    (void)snprintf(p->path, sizeof p->path, "%s/s", p->folder);
    (void)snprintf(p->lock, sizeof p->lock, "%s/s.lock", p->folder);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    (void)unlink(p->path);
    (void)unlink(p->lock);
    int result = rmdir(p->folder);
    free(p);
    return result;
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

/* Goal: the socket has mode 0600, or 0666 if peers are checked; nothing remains after it.
 * Method: bind with both modes, look at the files, release, and look again. */
static void a_socket_has_its_mode_and_leaves_nothing(void **state)
{
    struct place *p = *state;
    struct qr_socket_path at;
    struct qr_socket out;
    char why[512];
    for (int for_all = 0; for_all < 2; for_all++) {
        assert_true(qr_socket_lock(&at, p->path, why, sizeof why));
        assert_true(qr_socket_bind(&at, for_all, &out, why, sizeof why));
        assert_int_equal(mode_of(p->path), for_all ? 0666 : 0600);
        assert_int_equal(mode_of(p->lock), 0600);
        assert_false(out.tcp);
        (void)close(out.fd);
        qr_socket_release(&at);
        assert_int_equal(access(p->path, F_OK), -1);
        assert_int_equal(access(p->lock, F_OK), -1);
    }
}

/* Goal: while one server holds the lock, a second is refused.
 * Method: lock the same path twice, then again after the release. */
static void a_held_path_is_refused(void **state)
{
    struct place *p = *state;
    struct qr_socket_path first, second;
    char why[512] = "";
    assert_true(qr_socket_lock(&first, p->path, why, sizeof why));
    assert_false(qr_socket_lock(&second, p->path, why, sizeof why));
    assert_non_null(strstr(why, "another server is using"));
    qr_socket_release(&first);
    assert_true(qr_socket_lock(&second, p->path, why, sizeof why));
    qr_socket_release(&second);
}

/* Goal: a stale socket is replaced, but neither one that answers nor a file.
 * Method: bind over a listening socket, over a closed one and over a file. */
static void only_stale_sockets_are_replaced(void **state)
{
    struct place *p = *state;
    struct qr_socket_path at;
    struct qr_socket stale, out;
    char why[512] = "";
    assert_true(qr_socket_lock(&at, p->path, why, sizeof why));
    assert_true(qr_socket_bind(&at, false, &stale, why, sizeof why));
    assert_int_equal(listen(stale.fd, 4), 0);
    at.bound = false; /* as if its owner had died without a lock */
    assert_false(qr_socket_bind(&at, false, &out, why, sizeof why));
    assert_non_null(strstr(why, "another server answers"));
    (void)close(stale.fd);
    assert_true(qr_socket_bind(&at, false, &out, why, sizeof why));
    (void)close(out.fd);
    assert_int_equal(unlink(p->path), 0);
    at.bound = false;

    int file = open(p->path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    (void)close(file);
    assert_false(qr_socket_bind(&at, false, &out, why, sizeof why));
    assert_non_null(strstr(why, "is not a socket"));
    assert_int_equal(access(p->path, F_OK), 0);
    qr_socket_release(&at);
}

/* Goal: a path that is too long is refused with the limit.
 * Method: lock a path of 199 bytes. */
static void a_long_path_is_refused(void **state)
{
    (void)state;
    struct qr_socket_path at;
    char path[200], why[512] = "";
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_false(qr_socket_lock(&at, path, why, sizeof why));
    assert_non_null(strstr(why, "at most 107"));
    qr_socket_release(&at);
}

/* Goal: a TCP address is bound and known as loopback; bad addresses are refused with a reason.
 * Method: bind port 0 of 127.0.0.1, then try each bad form. */
static void tcp_addresses_are_read(void **state)
{
    (void)state;
    struct qr_socket out;
    bool loopback = false;
    char name[128], why[512];
    assert_true(
        qr_socket_bind_tcp("127.0.0.1:0", &out, &loopback, name, sizeof name, why, sizeof why));
    assert_true(loopback && out.tcp);
    assert_memory_equal(name, "http://127.0.0.1:", 17);
    (void)close(out.fd);
    static const char *const bad[] = {"",
                                      "8000",
                                      ":8000",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "127.0.0.1:99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(
            qr_socket_bind_tcp(bad[i], &out, &loopback, name, sizeof name, why, sizeof why));
        assert_true(strlen(why) > 0);
    }
}

/* Goal: the owner of the process is always allowed, an unknown uid never.
 * Method: ask for the peer of a socket pair and of a bad descriptor. */
static void the_owner_is_let_in(void **state)
{
    (void)state;
    int ends[2];
    const uint32_t nobody = 65534;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_true(qr_socket_uid_allowed(qr_socket_peer_uid(ends[0]), &nobody, 1));
    assert_false(qr_socket_uid_allowed(qr_socket_peer_uid(-1), &nobody, 1));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Goal: systemd is told at the socket that NOTIFY_SOCKET names, and only there.
 * Method: bind a datagram socket, notify with and without the variable, and receive. */
static void the_manager_is_told(void **state)
{
    struct place *p = *state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char text[32] = "";
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", p->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", p->path, 1), 0);
    qr_notify("READY=1");
    assert_int_equal(recv(fd, text, sizeof text, MSG_DONTWAIT), 7);
    assert_memory_equal(text, "READY=1", 7);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    qr_notify("READY=1");
    assert_int_equal(recv(fd, text, sizeof text, MSG_DONTWAIT), -1);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_socket_has_its_mode_and_leaves_nothing, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_held_path_is_refused, make_place, remove_place),
        cmocka_unit_test_setup_teardown(only_stale_sockets_are_replaced, make_place, remove_place),
        cmocka_unit_test(a_long_path_is_refused),
        cmocka_unit_test(tcp_addresses_are_read),
        cmocka_unit_test(the_owner_is_let_in),
        cmocka_unit_test_setup_teardown(the_manager_is_told, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
