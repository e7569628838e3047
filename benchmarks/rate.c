/* Load at a fixed rate, whatever the answers do: an open loop.
 *
 *   rate PORT REQUESTS_PER_SECOND SECONDS CONNECTIONS REQUEST_FILE
 *
 * Request number i is due at start + i / rate. When no connection is free it waits for one, and its
 * latency counts from when it was due, not from when it was sent: a stall is charged to every
 * request it delayed (no coordinated omission). Prints one line of JSON, microseconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, BUFFER = 65536, EVENTS = 256, GRACE_SECONDS = 5 };

struct connection {
    int fd;
    int64_t due;       /* of the request under way */
    size_t have;       /* bytes of its answer so far */
    size_t expected;   /* bytes of the whole answer; 0 until the head is here */
    char head[4096];
};

static struct connection connections[MAX_CONNECTIONS];
static int idle[MAX_CONNECTIONS], idle_count;
static char request[BUFFER];
static size_t request_size;
static double *latencies;
static long answered, failed;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int dial(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Size of the whole answer once its head is here, 0 before; a status other than 200 is a failure. */
static size_t expected_size(struct connection *c) {
    size_t kept = c->have < sizeof c->head ? c->have : sizeof c->head;
    char *stop = memmem(c->head, kept, "\r\n\r\n", 4);
    if (!stop) return 0;
    if (strncmp(c->head, "HTTP/1.1 200", 12)) failed++;
    for (char *line = c->head; line && line < stop; line = memchr(line, '\n', stop - line)) {
        if (*line == '\n') line++;
        if (!strncasecmp(line, "content-length:", 15))
            return (size_t)(stop - c->head) + 4 + strtoul(line + 15, NULL, 10);
    }
    fprintf(stderr, "an answer without Content-Length\n");
    exit(1);
}

static void begin(int64_t due) {
    struct connection *c = &connections[idle[--idle_count]];
    c->due = due;
    c->have = c->expected = 0;
    /* Blocking sockets: a request always fits the buffer of an idle connection. */
    if (send(c->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) die("send");
}

static void on_readable(int index) {
    static char buffer[BUFFER];
    struct connection *c = &connections[index];
    ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
    if (got <= 0) die("a connection was closed");
    if (c->have < sizeof c->head) {
        size_t room = sizeof c->head - c->have;
        memcpy(c->head + c->have, buffer, (size_t)got < room ? (size_t)got : room);
    }
    c->have += (size_t)got;
    if (!c->expected) c->expected = expected_size(c);
    if (c->expected && c->have >= c->expected) {
        latencies[answered++] = (double)(now_ns() - c->due) / 1000;
        idle[idle_count++] = index;
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double share) {
    long at = (long)(share * (double)answered);
    return answered ? latencies[at < answered ? at : answered - 1] : 0;
}

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "usage: rate PORT PER_SECOND SECONDS CONNECTIONS REQUEST_FILE\n");
        return 2;
    }
    double rate = atof(arguments[2]), seconds = atof(arguments[3]);
    int clients = atoi(arguments[4]);
    long total = (long)(rate * seconds), next = 0;
    FILE *file = fopen(arguments[5], "rb");
    if (!file || clients < 1 || clients > MAX_CONNECTIONS || total < 1) die("arguments");
    request_size = fread(request, 1, sizeof request, file);
    latencies = malloc((size_t)total * sizeof *latencies);
    int epoll_fd = epoll_create1(0), timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    for (int i = -1; i < clients; i++) { /* -1 is the timer */
        if (i >= 0) connections[i].fd = dial(atoi(arguments[1])), idle[idle_count++] = i;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = i};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, i < 0 ? timer_fd : connections[i].fd, &event);
    }
    int64_t start = now_ns() + 10000000, stop = start + (int64_t)((seconds + GRACE_SECONDS) * 1e9);
    while (answered < total && now_ns() < stop) {
        int64_t due = 0;
        for (; next < total && idle_count; next++) {
            due = start + (int64_t)((double)next * 1e9 / rate);
            if (due > now_ns()) break;
            begin(due);
        }
        if (next < total && idle_count) {
            struct itimerspec at = {.it_value = {due / 1000000000, due % 1000000000}};
            timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
        }
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll_fd, events, EVENTS, 100);
        for (int i = 0; i < ready; i++) {
            uint64_t expirations;
            if (events[i].data.fd >= 0) on_readable(events[i].data.fd);
            else if (read(timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
                die("timer");
        }
    }
    double took = (double)(now_ns() - start) / 1e9;
    qsort(latencies, (size_t)answered, sizeof *latencies, ascending);
    printf("{\"requests\": %ld, \"seconds\": %.6f, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, "
           "\"failed\": %ld}\n",
           answered, took, percentile(0.5), percentile(0.99), percentile(0.999),
           failed + total - answered);
    return 0;
}
