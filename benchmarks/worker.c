/* A stand-in for a model worker, far faster than any proxy: one thread, one epoll, ready answers.
 *
 *   worker DELAY_MICROSECONDS HEADS COUNTS_FILE BODY_FILE[,BODY_FILE...] ADDRESS...
 *
 * Every request is read whole (Content-Length; other framings end the connection) and answered with
 * 200 and the bytes of a BODY_FILE (they take turns), DELAY later. Connections are kept alive. An
 * address is a port of 127.0.0.1 or an absolute path. HEADS says what changes in the answers' heads:
 *
 *   plain    nothing
 *   dated    a Date, as real servers have it
 *   traced   a Date, and an X-Trace that no two answers share
 *
 * COUNTS_FILE is made, and holds how many requests each address was asked so far: one uint64 each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FDS = 65536, MAX_HEAD = 16384, READ_SIZE = 65536, EVENTS = 256, MAX_ANSWERS = 64 };
enum { DATE_SIZE = 29, TRACE_SIZE = 16 };

struct answer {
    char *bytes;
    size_t size, head_size;
    char *date, *trace; /* where they stand in the head; NULL: nowhere */
};

struct connection {
    uint32_t serial;   /* tells a connection from a later one with the same descriptor */
    int open;
    size_t have;       /* bytes of an unfinished head in `head` */
    size_t body_left;  /* bytes of the present body still to come */
    size_t unsent;     /* bytes of the present answer the socket did not take */
    struct answer *answer;
    uint64_t *asked;   /* of its address */
    char *head;
};

struct due {
    int64_t when;
    int fd;
    uint32_t serial;
};

static struct connection connections[MAX_FDS];
static struct due queue[MAX_FDS];  /* answers that wait; the delay is constant, so in order */
static size_t queue_first, queue_count;
static struct answer answers[MAX_ANSWERS];
static int answer_count, answer_turn;
static uint64_t *asked, traces;
static time_t dated;
static int64_t delay_ns;
static int epoll_fd, timer_fd;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void watch(int fd, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll_fd, operation, fd, &event) < 0) die("epoll_ctl");
}

static void end(int fd) {
    connections[fd].open = 0;
    connections[fd].serial++;
    close(fd);
}

/* Send what is left of the answer; the rest when the socket takes it. */
static void send_rest(int fd) {
    struct connection *c = &connections[fd];
    size_t before = c->unsent, size = c->answer->size;
    ssize_t sent = send(fd, c->answer->bytes + size - before, before, MSG_NOSIGNAL);
    if (sent > 0) c->unsent -= (size_t)sent;
    /* Heads are changed in place, so one that went out in part cannot go on. */
    int torn = c->unsent && c->unsent > size - c->answer->head_size;
    if ((sent < 0 && errno != EAGAIN) || torn) {
        end(fd);
        return;
    }
    if (c->unsent) watch(fd, EPOLLOUT, EPOLL_CTL_MOD);
    else if (before != size) watch(fd, EPOLLIN, EPOLL_CTL_MOD);
}

/* The next answer, its head made new. */
static void send_answer(int fd) {
    struct connection *c = &connections[fd];
    struct answer *a = c->answer = &answers[answer_turn];
    if (++answer_turn == answer_count) answer_turn = 0;
    if (a->trace) {
        uint64_t number = ++traces * 0x9e3779b97f4a7c15; /* odd: no two alike, and all digits vary */
        for (int i = 0; i < TRACE_SIZE; i++, number >>= 4)
            a->trace[i] = "0123456789abcdef"[number & 15];
    }
    c->unsent = a->size;
    send_rest(fd);
}

static void set_dates(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    if (t.tv_sec == dated) return;
    dated = t.tv_sec;
    char text[DATE_SIZE + 1];
    struct tm parts;
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&dated, &parts));
    for (int i = 0; i < answer_count; i++)
        if (answers[i].date) memcpy(answers[i].date, text, DATE_SIZE);
}

static void arm(int64_t when) {
    struct itimerspec at = {.it_value = {when / 1000000000, when % 1000000000}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void reply(int fd) {
    ++*connections[fd].asked;
    if (!delay_ns) {
        send_answer(fd);
        return;
    }
    if (queue_count == MAX_FDS) {
        end(fd);
        return;
    }
    int64_t when = now_ns() + delay_ns;
    queue[(queue_first + queue_count++) % MAX_FDS] = (struct due){when, fd, connections[fd].serial};
    if (queue_count == 1) arm(when);
}

static void reply_due(void) {
    uint64_t expirations;
    if (read(timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN) die("timer");
    int64_t now = now_ns();
    while (queue_count && queue[queue_first].when <= now) {
        struct due due = queue[queue_first];
        queue_first = (queue_first + 1) % MAX_FDS;
        queue_count--;
        if (connections[due.fd].open && connections[due.fd].serial == due.serial) {
            send_answer(due.fd);
        }
    }
    if (queue_count) arm(queue[queue_first].when);
}

/* Content-Length of a whole head; -1 for a framing this worker does not read. */
static long body_size(char *head, size_t size) {
    long length = 0;
    char *line = memchr(head, '\n', size), *stop = head + size;
    while (line && ++line < stop) {
        if (!strncasecmp(line, "content-length:", 15)) length = strtol(line + 15, NULL, 10);
        if (!strncasecmp(line, "transfer-encoding:", 18)) return -1;
        line = memchr(line, '\n', (size_t)(stop - line));
    }
    return length;
}

/* Take bytes of a connection: heads are gathered, bodies only counted. */
static void take(int fd, char *data, size_t size) {
    struct connection *c = &connections[fd];
    uint32_t serial = c->serial;
    while (size && c->open && c->serial == serial) {
        if (c->body_left) {
            size_t part = size < c->body_left ? size : c->body_left;
            data += part, size -= part, c->body_left -= part;
            if (!c->body_left) reply(fd);
            continue;
        }
        size_t room = MAX_HEAD - c->have, part = size < room ? size : room;
        memcpy(c->head + c->have, data, part);
        size_t before = c->have;
        c->have += part;
        char *stop = memmem(c->head, c->have, "\r\n\r\n", 4);
        if (!stop) {
            if (c->have == MAX_HEAD) end(fd);
            data += part, size -= part;
            continue;
        }
        size_t head_size = (size_t)(stop - c->head) + 4;
        long body = body_size(c->head, head_size);
        data += head_size - before, size -= head_size - before;
        c->have = 0;
        if (body < 0) end(fd);
        else if (body == 0) reply(fd);
        else c->body_left = (size_t)body;
    }
}

static void on_readable(int fd) {
    static char buffer[READ_SIZE];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got > 0) take(fd, buffer, (size_t)got);
    else if (got == 0 || errno != EAGAIN) end(fd);
}

static void on_client(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    if (fd < 0) return;
    if (fd >= MAX_FDS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* refused on a Unix socket */
    struct connection *c = &connections[fd];
    if (!c->head && !(c->head = malloc(MAX_HEAD))) die("malloc");
    c->open = 1;
    c->asked = connections[listener].asked;
    c->have = c->body_left = c->unsent = 0;
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
}

static int listen_on(const char *address) {
    int fd, one = 1;
    if (address[0] == '/') {
        struct sockaddr_un path = {.sun_family = AF_UNIX};
        if (strlen(address) >= sizeof path.sun_path) die("path too long");
        strcpy(path.sun_path, address);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (bind(fd, (struct sockaddr *)&path, sizeof path) < 0) die(address);
    } else {
        struct sockaddr_in port = {.sin_family = AF_INET, .sin_port = htons(atoi(address))};
        port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&port, sizeof port) < 0) die(address);
    }
    if (listen(fd, 4096) < 0) die("listen");
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    return fd;
}

static void make_answer(const char *path, const char *heads) {
    static char body[1 << 20];
    FILE *file = fopen(path, "rb");
    if (!file || answer_count == MAX_ANSWERS) die(path);
    size_t size = fread(body, 1, sizeof body, file);
    fclose(file);
    struct answer *a = &answers[answer_count++];
    char *at = a->bytes = malloc(size + 512);
    at += sprintf(at, "HTTP/1.1 200 OK\r\n");
    if (strcmp(heads, "plain")) {
        at += sprintf(at, "Date: ");
        a->date = at;
        at += sprintf(at, "%*s\r\n", DATE_SIZE, "");
    }
    if (!strcmp(heads, "traced")) {
        at += sprintf(at, "X-Trace: ");
        a->trace = at;
        at += sprintf(at, "%*s\r\n", TRACE_SIZE, "");
    }
    at += sprintf(at, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", size);
    memcpy(at, body, size);
    a->head_size = (size_t)(at - a->bytes);
    a->size = a->head_size + size;
}

static void make_counts(const char *path, size_t count) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)(count * sizeof *asked)) < 0) die(path);
    asked = mmap(NULL, count * sizeof *asked, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (asked == MAP_FAILED) die(path);
    close(fd);
}

int main(int count, char **arguments) {
    if (count < 6) {
        fprintf(stderr, "usage: worker DELAY_MICROSECONDS plain|dated|traced COUNTS_FILE "
                        "BODY_FILE[,BODY_FILE...] ADDRESS...\n");
        return 2;
    }
    struct rlimit files = {MAX_FDS, MAX_FDS};
    setrlimit(RLIMIT_NOFILE, &files); /* as far as allowed */
    delay_ns = atol(arguments[1]) * 1000;
    make_counts(arguments[3], (size_t)count - 5);
    for (char *path = strtok(arguments[4], ","); path; path = strtok(NULL, ","))
        make_answer(path, arguments[2]);
    set_dates();
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(timer_fd, EPOLLIN, EPOLL_CTL_ADD);
    int listeners = 0; /* the highest descriptor that listens: they are the first ones opened */
    for (int i = 5; i < count; i++) {
        listeners = listen_on(arguments[i]);
        connections[listeners].asked = &asked[i - 5];
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll_fd, events, EVENTS, -1);
        set_dates();
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == timer_fd) reply_due();
            else if (fd <= listeners) on_client(fd);
            else if (connections[fd].open && events[i].events & EPOLLOUT) send_rest(fd);
            else if (connections[fd].open) on_readable(fd);
        }
    }
}
