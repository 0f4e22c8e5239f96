/* A server that costs next to nothing: what a load generator is measured against.

     near_free_server PORT TOKENS GAP_US FIRST_US [STAMP_FILE]

   HTTP/1.1 keep-alive on 127.0.0.1, one thread over epoll. PORT 0 takes any; the port is printed as the first line.
   POST /v1/completions and /v1/chat/completions: a body that asks for a stream gets TOKENS events (or its own max_tokens)
   shaped as vLLM's, the first FIRST_US after the request was read whole and the rest every GAP_US, each written by itself
   as one HTTP chunk, then the usage (when include_usage is asked for) and [DONE]. Any other POST gets one JSON answer
   after FIRST_US. GET /v1/models, /health and /metrics are answered at once.

   STAMP_FILE gets a CSV line per stream, whole when its first token is written: the request's id (the header x-request-id,
   else vLLM's body field request_id, else empty), and on CLOCK_REALTIME and CLOCK_MONOTONIC in ns when the request had been
   read and when the write of the first token began.

   Build: cc -O2 -o near_free_server near_free_server.c */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 65536 /* by file descriptor */
#define LONGEST_HEAD 65536

enum { IDLE, STREAM, UNARY };

typedef struct {
    int fd, state, chat, usage, close_after;
    char *in, *out;
    size_t in_len, in_room, out_len, out_room;
    long tokens, sent, prompt_tokens;
    int64_t due_ns, heap_at; /* heap_at: place in the heap of due times, -1 when in none */
    int64_t read_real_ns, read_mono_ns;
    char id[128];
} Connection;

static Connection *connections[CONNECTIONS];
static Connection *heap[CONNECTIONS];
static int64_t heap_len;
static long tokens_default;
static int64_t gap_ns, first_ns;
static FILE *stamps;
static long served, tokens_written;

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A binary heap of connections by due_ns. */

static void place(int64_t at, Connection *c) { heap[at] = c, c->heap_at = at; }

static void sift_up(int64_t at, Connection *c) {
    for (; at && heap[(at - 1) / 2]->due_ns > c->due_ns; at = (at - 1) / 2) place(at, heap[(at - 1) / 2]);
    place(at, c);
}

static void sift_down(int64_t at, Connection *c) {
    for (int64_t child; (child = 2 * at + 1) < heap_len; at = child) {
        if (child + 1 < heap_len && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
        if (heap[child]->due_ns >= c->due_ns) break;
        place(at, heap[child]);
    }
    place(at, c);
}

static void unschedule(Connection *c) {
    if (c->heap_at < 0) return;
    int64_t at = c->heap_at;
    Connection *last = heap[--heap_len];
    c->heap_at = -1;
    if (last == c) return;
    if (at && heap[(at - 1) / 2]->due_ns > last->due_ns) sift_up(at, last);
    else sift_down(at, last);
}

static void schedule(Connection *c, int64_t due_ns) {
    unschedule(c);
    c->due_ns = due_ns;
    sift_up(heap_len++, c);
}

static void drop(Connection *c) {
    unschedule(c);
    connections[c->fd] = NULL;
    close(c->fd);
    free(c->in), free(c->out), free(c);
}

/* Writing. What the socket does not take waits in `out`. Returns 0 when the connection is gone. */

static int flush(Connection *c, int epoll) {
    if (c->out_len) {
        ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return drop(c), 0;
        if (n > 0) memmove(c->out, c->out + n, c->out_len -= (size_t)n);
    }
    struct epoll_event event = {.events = EPOLLIN | (c->out_len ? EPOLLOUT : 0), .data.fd = c->fd};
    static unsigned char waits[CONNECTIONS];
    if (waits[c->fd] != (c->out_len != 0)) {
        waits[c->fd] = c->out_len != 0;
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
    }
    if (c->close_after && !c->out_len && c->state == IDLE) return drop(c), 0;
    return 1;
}

static void put(Connection *c, const char *data, size_t len) {
    if (c->out_len + len > c->out_room) {
        c->out_room = 2 * (c->out_len + len);
        c->out = realloc(c->out, c->out_room);
    }
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
}

static void put_chunk(Connection *c, const char *data, size_t len) {
    char size[20];
    put(c, size, (size_t)sprintf(size, "%zx\r\n", len));
    put(c, data, len);
    put(c, "\r\n", 2);
}

static void put_json(Connection *c, const char *status, const char *body) {
    char head[256];
    put(c, head, (size_t)sprintf(head, "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                                 status, strlen(body)));
    put(c, body, strlen(body));
}

#define CHUNK_OF(kind) "data: {\"id\":\"" kind "-0123456789abcdef0123456789abcdef\",\"object\":"
#define TEXT_HEAD CHUNK_OF("cmpl") "\"text_completion\",\"created\":1760000000,\"model\":\"near-free\",\"choices\":["
#define CHAT_HEAD CHUNK_OF("chatcmpl") "\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"near-free\",\"choices\":["

static const char CHAT_ROLE[] = CHAT_HEAD
    "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
static const char *const EVENT[2][2] = {
    {TEXT_HEAD "{\"index\":0,\"text\":\" the\",\"logprobs\":null,\"finish_reason\":null,\"stop_reason\":null}],\"usage\":null}\n\n",
     TEXT_HEAD "{\"index\":0,\"text\":\" the\",\"logprobs\":null,\"finish_reason\":\"length\",\"stop_reason\":null}],\"usage\":null}\n\n"},
    {CHAT_HEAD "{\"index\":0,\"delta\":{\"content\":\" the\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
     CHAT_HEAD "{\"index\":0,\"delta\":{\"content\":\" the\"},\"logprobs\":null,\"finish_reason\":\"length\",\"stop_reason\":null}]}\n\n"},
};

/* The next thing that is due on a connection: a token, or a unary answer. */
static int step(Connection *c, int epoll) {
    char text[512];
    if (c->state == UNARY) {
        sprintf(text,
                "{\"id\":\"cmpl-0\",\"object\":\"%s\",\"created\":1760000000,\"model\":\"near-free\",\"choices\":[{\"index\":0,%s,"
                "\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":%ld,\"total_tokens\":%ld,"
                "\"completion_tokens\":%ld}}",
                c->chat ? "chat.completion" : "text_completion",
                c->chat ? "\"message\":{\"role\":\"assistant\",\"content\":\" the\"}" : "\"text\":\" the\"",
                c->prompt_tokens, c->prompt_tokens + c->tokens, c->tokens);
        put_json(c, "200 OK", text);
        c->state = IDLE, served++;
        return flush(c, epoll);
    }
    int first = !c->sent, last = ++c->sent >= c->tokens;
    tokens_written++;
    if (first && c->chat) put_chunk(c, CHAT_ROLE, sizeof CHAT_ROLE - 1);
    const char *event = EVENT[c->chat][last];
    put_chunk(c, event, strlen(event));
    if (last) {
        if (c->usage) {
            int n = sprintf(text, "%s],\"usage\":{\"prompt_tokens\":%ld,\"total_tokens\":%ld,\"completion_tokens\":%ld}}\n\n",
                            c->chat ? CHAT_HEAD : TEXT_HEAD, c->prompt_tokens, c->prompt_tokens + c->sent, c->sent);
            put_chunk(c, text, (size_t)n);
        }
        put_chunk(c, "data: [DONE]\n\n", 14);
        put(c, "0\r\n\r\n", 5);
        c->state = IDLE, served++;
    } else {
        schedule(c, c->due_ns + gap_ns);
    }
    if (first && stamps) {
        int64_t real = now_ns(CLOCK_REALTIME), mono = now_ns(CLOCK_MONOTONIC);
        char line[256];
        int n = sprintf(line, "%s,%lld,%lld,%lld,%lld\n", c->id, (long long)c->read_real_ns, (long long)c->read_mono_ns,
                        (long long)real, (long long)mono);
        int alive = flush(c, epoll); /* the stamp must not delay the write that it stamps */
        fwrite(line, 1, (size_t)n, stamps);
        return alive;
    }
    return flush(c, epoll);
}

/* Reading a request. */

static const char *find(const char *in, size_t len, const char *what) { return memmem(in, len, what, strlen(what)); }

/* The number after "key":, or `otherwise`. */
static long number(const char *in, size_t len, const char *key, long otherwise) {
    const char *at = find(in, len, key);
    return at ? strtol(at + strlen(key) + 2, NULL, 10) : otherwise; /* past the closing quote and the colon */
}

static int is_true(const char *in, size_t len, const char *key) {
    const char *at = find(in, len, key);
    if (!at) return 0;
    at += strlen(key);
    return strspn(at, " ") + 4 <= (size_t)(in + len - at) && !strncmp(at + strspn(at, " "), "true", 4);
}

/* A value that starts at `at` and ends before any of `ends`. */
static void copy_value(char *to, size_t room, const char *at, const char *ends) {
    at += strspn(at, " ");
    size_t n = strcspn(at, ends);
    if (n >= room) n = room - 1;
    memcpy(to, at, n);
    to[n] = 0;
}

/* Words of the prompt, which holdfast's own prompts have one token each of. */
static long words(const char *body, size_t len) {
    const char *at = find(body, len, "\"prompt\":");
    if (!at) at = find(body, len, "\"content\":");
    if (!at) return 1;
    at = memchr(strchr(at, ':'), '"', (size_t)(body + len - strchr(at, ':')));
    long n = 1;
    for (at = at ? at + 1 : body + len; at < body + len && *at != '"'; at++) n += *at == ' ';
    return n;
}

/* Starts on the request at the beginning of `in`. Returns its length, 0 when it is not whole, -1 when it is none. */
static long begin(Connection *c) {
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end) return c->in_len > LONGEST_HEAD ? -1 : 0;
    size_t head_len = (size_t)(end + 4 - c->in), body_len = 0;
    *end = 0; /* the head is a string while it is read; the sign is put back below */
    const char *length = strcasestr(c->in, "\r\ncontent-length:"), *id = strcasestr(c->in, "\r\nx-request-id:");
    if (length) body_len = strtoul(length + 17, NULL, 10);
    if (c->in_len < head_len + body_len) return *end = '\r', 0;
    c->id[0] = 0;
    if (id) copy_value(c->id, sizeof c->id, id + 15, "\r\n,");
    c->close_after = strcasestr(c->in, "\r\nconnection: close") != NULL;
    const char *body = end + 4, *path = strchr(c->in, ' ');
    if (!path) return -1;
    path++;
    if (!strncmp(c->in, "GET ", 4)) {
        if (!strncmp(path, "/v1/models", 10))
            put_json(c, "200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"near-free\",\"object\":\"model\",\"created\":"
                                  "1760000000,\"owned_by\":\"holdfast\",\"max_model_len\":131072}]}");
        else if (!strncmp(path, "/metrics", 8)) {
            char text[192];
            sprintf(text, "# TYPE near_free_served_total counter\nnear_free_served_total %ld\n"
                          "# TYPE near_free_tokens_total counter\nnear_free_tokens_total %ld\n", served, tokens_written);
            char head[160];
            put(c, head, (size_t)sprintf(head, "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n"
                                               "content-length: %zu\r\n\r\n", strlen(text)));
            put(c, text, strlen(text));
        } else put_json(c, strncmp(path, "/health", 7) ? "404 Not Found" : "200 OK", "{}");
    } else {
        c->read_real_ns = now_ns(CLOCK_REALTIME), c->read_mono_ns = now_ns(CLOCK_MONOTONIC);
        c->chat = !strncmp(path, "/v1/chat/", 9);
        int stream = is_true(body, body_len, "\"stream\":");
        c->usage = is_true(body, body_len, "\"include_usage\":");
        c->tokens = number(body, body_len, "\"max_tokens", number(body, body_len, "\"max_completion_tokens", tokens_default));
        if (c->tokens < 1) c->tokens = 1;
        c->prompt_tokens = words(body, body_len);
        const char *in_body = id ? NULL : find(body, body_len, "\"request_id\":");
        if (in_body) {
            in_body += 13 + strspn(in_body + 13, " \"");
            copy_value(c->id, sizeof c->id, in_body, "\",}");
        }
        c->state = stream ? STREAM : UNARY;
        c->sent = 0;
        if (stream) {
            static const char head[] = "HTTP/1.1 200 OK\r\nserver: near-free\r\ncontent-type: text/event-stream; "
                                       "charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
            put(c, head, sizeof head - 1); /* leaves at once, as uvicorn's does with vLLM's */
        }
        schedule(c, c->read_mono_ns + first_ns);
    }
    *end = '\r';
    return (long)(head_len + body_len);
}

/* Takes what has come; requests behind the one in service wait in `in`. Returns 0 when the connection is gone. */
static int take(Connection *c, int epoll) {
    while (c->state == IDLE && c->in_len) {
        long n = begin(c);
        if (n < 0) return drop(c), 0;
        if (!n) break;
        memmove(c->in, c->in + n, c->in_len -= (size_t)n);
        c->in[c->in_len] = 0;
    }
    return flush(c, epoll);
}

static int receive(Connection *c, int epoll) {
    if (c->in_room < c->in_len + 16384) c->in = realloc(c->in, c->in_room = 2 * c->in_len + 32768);
    ssize_t n = recv(c->fd, c->in + c->in_len, c->in_room - c->in_len - 1, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return drop(c), 0;
    if (n > 0) c->in_len += (size_t)n, c->in[c->in_len] = 0;
    return take(c, epoll);
}

static void accept_all(int listener, int epoll) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        if (fd >= CONNECTIONS) {
            close(fd);
            continue;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Connection *c = connections[fd] = calloc(1, sizeof *c);
        c->fd = fd, c->heap_at = -1;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void end(int signal) {
    (void)signal;
    _exit(0); /* the stamps are line buffered */
}

int main(int argc, char **argv) {
    if (argc < 5) return fprintf(stderr, "near_free_server PORT TOKENS GAP_US FIRST_US [STAMP_FILE]\n"), 2;
    tokens_default = atol(argv[2]);
    gap_ns = atoll(argv[3]) * 1000, first_ns = atoll(argv[4]) * 1000;
    if (argc > 5) {
        if (!(stamps = fopen(argv[5], "a"))) return perror(argv[5]), 2;
        setvbuf(stamps, NULL, _IOLBF, 1 << 16);
        fprintf(stamps, "request_id,read_realtime_ns,read_monotonic_ns,first_realtime_ns,first_monotonic_ns\n");
    }
    signal(SIGTERM, end), signal(SIGINT, end), signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 8192)) return perror("near_free_server"), 2;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event events[512], of_listener = {.events = EPOLLIN, .data.fd = listener},
                                    of_timer = {.events = EPOLLIN, .data.fd = timer};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &of_listener);
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &of_timer);
    int64_t armed_ns = 0;
    for (;;) {
        while (heap_len && heap[0]->due_ns <= now_ns(CLOCK_MONOTONIC)) {
            Connection *c = heap[0];
            unschedule(c);
            if (step(c, epoll)) take(c, epoll);
        }
        if (heap_len && heap[0]->due_ns != armed_ns) {
            armed_ns = heap[0]->due_ns;
            struct itimerspec at = {.it_value = {armed_ns / 1000000000, armed_ns % 1000000000}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        }
        int n = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_all(listener, epoll);
            else if (fd == timer) {
                uint64_t fired;
                if (read(timer, &fired, sizeof fired) > 0) armed_ns = 0;
            } else if (connections[fd] && (!(events[i].events & EPOLLOUT) || flush(connections[fd], epoll)) &&
                       events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(connections[fd], epoll);
        }
    }
}
