/* The load: ALERTs from several hosts, a fixed number of them in flight; each acknowledgement lets the next one go.
 *
 * load PORT HOSTS WINDOW EVENTS NAME: sends EVENTS to 127.0.0.1:PORT, in turn from the hosts NAME0 ... at 127.0.0.2 ..., WINDOW of them
 * unacknowledged at a time. Event i has the uid START_i, START being the time of the start. When nothing has been acknowledged for 10
 * seconds, all that is in flight is sent again.
 * Prints seconds, repeats and START. Ends with status 1 when nothing is acknowledged for 25 seconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, DATAGRAM = 512, MOST_HOSTS = 200 };

struct host {
    int udp;
    long next, in_flight, window;
};

static struct host hosts[MOST_HOSTS];
static struct pollfd polled[MOST_HOSTS];
static long host_count, event_count, done, repeats, start;
static char *is_done;
static const char *name;
static struct mmsghdr in[BATCH], out[BATCH];
static struct iovec in_at[BATCH], out_at[BATCH];
static char in_text[BATCH][DATAGRAM], out_text[BATCH][DATAGRAM];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static size_t emit(char *text, long host, long event) {
    int size = snprintf(text, DATAGRAM,
                        "ALERT%%%%%s%ld%%%%%ld_%ld%%%%%ld%%%%AUTH%%%%/var/log/auth.log%%%%"
                        "sshd[%ld]: Failed password for user%ld from 10.0.%ld.%ld port %ld ssh2",
                        name, host, start, event, start, 1000 + event % 30000, event % 97, event / 250 % 250, event % 250, 1024 + event % 60000);
    return (size_t)size;
}

static void send_all(int udp, int count) {
    for (int sent = 0; sent < count;) {
        int sent_now = sendmmsg(udp, out + sent, (unsigned)(count - sent), 0);
        if (sent_now < 0 && errno != ECONNREFUSED) fail("sendmmsg");
        if (sent_now > 0) sent += sent_now;
    }
}

/* Sends what the window of a host allows. An event belongs to the host with its number modulo the number of hosts. */
static void fill(long number) {
    struct host *host = &hosts[number];
    while (host->in_flight < host->window && host->next < event_count) {
        int count = 0;
        while (count < BATCH && host->in_flight < host->window && host->next < event_count) {
            out_at[count].iov_len = emit(out_text[count], number, host->next);
            count++;
            host->next += host_count;
            host->in_flight++;
        }
        send_all(host->udp, count);
    }
}

/* Takes what has come for a host. Returns how many events are newly acknowledged. */
static long take(long number) {
    struct host *host = &hosts[number];
    int got = recvmmsg(host->udp, in, BATCH, MSG_DONTWAIT, NULL);
    long fresh = 0;
    for (int i = 0; i < got; i++) {
        in_text[i][in[i].msg_len] = 0;
        char *event_at = strchr(in_text[i], '_');
        if (strncmp(in_text[i], "ACK%%", 5) != 0 || !event_at || atol(in_text[i] + 5) != start) continue;
        long event = atol(event_at + 1);
        if (event < 0 || event >= event_count || is_done[event]) continue;
        is_done[event] = 1;
        host->in_flight--;
        fresh++;
    }
    return fresh;
}

static void repeat(long number) {
    for (long event = number; event < hosts[number].next; event += host_count) {
        if (is_done[event]) continue;
        out_at[0].iov_len = emit(out_text[0], number, event);
        send_all(hosts[number].udp, 1);
        repeats++;
    }
}

static void open_host(long number, int port, long window) {
    struct host *host = &hosts[number];
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (unsigned)number)};
    host->udp = socket(AF_INET, SOCK_DGRAM, 0);
    if (host->udp < 0 || bind(host->udp, (struct sockaddr *)&here, sizeof here) != 0) fail("bind");
    if (connect(host->udp, (struct sockaddr *)&there, sizeof there) != 0) fail("connect");
    host->next = number;
    host->window = (window + number) / host_count;
    polled[number] = (struct pollfd){.fd = host->udp, .events = POLLIN};
}

int main(int count, char **arguments) {
    if (count != 6 || atol(arguments[2]) < 1 || atol(arguments[2]) > MOST_HOSTS || atol(arguments[3]) < atol(arguments[2])) {
        fprintf(stderr, "usage: load PORT HOSTS WINDOW EVENTS NAME; at most %d hosts, and a window of one for each\n", MOST_HOSTS);
        return 2;
    }
    host_count = atol(arguments[2]);
    event_count = atol(arguments[4]);
    name = arguments[5];
    start = (long)time(NULL);
    is_done = calloc((size_t)event_count, 1);
    if (!is_done) fail("calloc");
    for (long i = 0; i < host_count; i++) open_host(i, atoi(arguments[1]), atol(arguments[3]));
    for (int i = 0; i < BATCH; i++) {
        in_at[i] = (struct iovec){in_text[i], DATAGRAM - 1};
        out_at[i] = (struct iovec){out_text[i], 0};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_at[i], .msg_iovlen = 1};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_at[i], .msg_iovlen = 1};
    }

    double began = now(), progress = began, repeated = began;
    for (long i = 0; i < host_count; i++) fill(i);
    while (done < event_count) {
        if (poll(polled, (nfds_t)host_count, 1000) < 0) fail("poll");
        for (long i = 0; i < host_count; i++) {
            if (!polled[i].revents) continue;
            long fresh = take(i);
            done += fresh;
            if (fresh) progress = now();
            fill(i);
        }
        if (now() - progress > 10 && now() - repeated > 10) {
            for (long i = 0; i < host_count; i++) repeat(i);
            repeated = now();
        }
        if (now() - progress > 25) {
            fprintf(stderr, "load: %ld of %ld events acknowledged, and then no more\n", done, event_count);
            return 1;
        }
    }
    printf("%.3f %ld %ld\n", now() - began, repeats, start);
    return 0;
}
