/* The floor: the least that a server of events can cost. Receives in batches, appends a line for each ALERT by one write for the
 * batch, acknowledges in batches; no check, no configuration, no duplicates, no rolling.
 *
 * floor PORT FILE: listens on 127.0.0.1:PORT, appends to FILE, runs until a signal ends it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, DATAGRAM = 2048, UID = 64 };

static struct mmsghdr in[BATCH], out[BATCH];
static struct iovec in_at[BATCH], out_at[BATCH];
static struct sockaddr_in from[BATCH];
static char datagrams[BATCH][DATAGRAM], acks[BATCH][5 + UID], lines[BATCH * (DATAGRAM + 32)];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* The acknowledgement of an ALERT%%host%%uid%%..., or 0 where it is none. */
static size_t acknowledge(const char *datagram, size_t size, char *ack) {
    if (size < 8 || memcmp(datagram, "ALERT%%", 7) != 0) return 0;
    const char *uid = memmem(datagram + 7, size - 7, "%%", 2);
    if (!uid) return 0;
    uid += 2;
    const char *end = memmem(uid, (size_t)(datagram + size - uid), "%%", 2);
    if (!end || end - uid > UID) return 0;
    memcpy(ack, "ACK%%", 5);
    memcpy(ack + 5, uid, (size_t)(end - uid));
    return 5 + (size_t)(end - uid);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: floor PORT FILE\n");
        return 2;
    }
    int udp = socket(AF_INET, SOCK_DGRAM, 0), size = 1 << 20;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1])),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (udp < 0 || bind(udp, (struct sockaddr *)&here, sizeof here) != 0) fail("bind");
    int file = open(arguments[2], O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (file < 0) fail(arguments[2]);

    time_t second = 0;
    char received[32] = "";
    for (int i = 0; i < BATCH; i++) {
        in_at[i] = (struct iovec){datagrams[i], DATAGRAM};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_at[i], .msg_iovlen = 1, .msg_name = &from[i]};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_at[i], .msg_iovlen = 1, .msg_namelen = sizeof from[i]};
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++) in[i].msg_hdr.msg_namelen = sizeof from[i];
        int got = recvmmsg(udp, in, BATCH, MSG_WAITFORONE, NULL), due = 0;
        if (got < 0) fail("recvmmsg");
        if (time(NULL) != second) {
            second = time(NULL);
            strftime(received, sizeof received, "%a %b %e %H:%M:%S %Y%%%%", localtime(&second));
        }
        char *end = lines;
        for (int i = 0; i < got; i++) {
            size_t ack = acknowledge(datagrams[i], in[i].msg_len, acks[due]);
            if (!ack) continue;
            out_at[due] = (struct iovec){acks[due], ack};
            out[due++].msg_hdr.msg_name = &from[i];
            end = stpcpy(end, received);
            end = mempcpy(end, datagrams[i] + 7, in[i].msg_len - 7);
            *end++ = '\n';
        }
        if (end > lines && write(file, lines, (size_t)(end - lines)) != end - lines) fail("write");
        for (int sent = 0; sent < due;) {
            int now = sendmmsg(udp, out + sent, (unsigned)(due - sent), 0);
            if (now < 0) fail("sendmmsg");
            sent += now;
        }
    }
}
