// dialer NAME PORT: looks the name up, connects to the first IPv4 address, says a line, prints what comes back.
//
// C without a C library: the imports are those of dialer.wit, with the signatures that the canonical ABI gives them. The
// wasi-libc that has sockets is for wasm32-wasip2, which the compiler of the other C guest does not bring.
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface "@0.2.12"), import_name(name)))

IMPORT("wasi:cli/environment", "get-arguments") void get_arguments(void *ret);
IMPORT("wasi:cli/stdout", "get-stdout") int32_t get_stdout(void);
IMPORT("wasi:io/poll", "[method]pollable.block") void block(int32_t pollable);
IMPORT("wasi:io/poll", "[resource-drop]pollable") void drop_pollable(int32_t pollable);
IMPORT("wasi:io/streams", "[method]output-stream.blocking-write-and-flush")
void write_all(int32_t stream, const void *bytes, size_t count, void *ret);
IMPORT("wasi:io/streams", "[method]input-stream.blocking-read") void read_some(int32_t stream, int64_t most, void *ret);
IMPORT("wasi:sockets/instance-network", "instance-network") int32_t instance_network(void);
IMPORT("wasi:sockets/ip-name-lookup", "resolve-addresses")
void resolve_addresses(int32_t network, const void *name, size_t count, void *ret);
IMPORT("wasi:sockets/ip-name-lookup", "[method]resolve-address-stream.resolve-next-address")
void next_address(int32_t stream, void *ret);
IMPORT("wasi:sockets/ip-name-lookup", "[method]resolve-address-stream.subscribe") int32_t subscribe_lookup(int32_t stream);
IMPORT("wasi:sockets/tcp-create-socket", "create-tcp-socket") void create_tcp_socket(int32_t family, void *ret);
IMPORT("wasi:sockets/tcp", "[method]tcp-socket.start-connect")
void start_connect(int32_t socket, int32_t network, int32_t family, int32_t port, int32_t a, int32_t b, int32_t c, int32_t d,
                   int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, void *ret);
IMPORT("wasi:sockets/tcp", "[method]tcp-socket.finish-connect") void finish_connect(int32_t socket, void *ret);
IMPORT("wasi:sockets/tcp", "[method]tcp-socket.subscribe") int32_t subscribe_socket(int32_t socket);

// What functions give that has no room in a register: a result's case at 0, and behind it what it has.
static union {
    uint8_t byte[32];
    uint32_t word[8];
} ret;

static uint8_t heap[1 << 16];
static size_t used;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    (void)old, (void)old_size;
    used = (used + align - 1) & ~(align - 1);
    if (used + size > sizeof heap) __builtin_trap();
    used += size;
    return heap + used - size;
}

static void say(const char *text, size_t count) { write_all(get_stdout(), text, count, &ret); }
#define SAY(text) say(text, sizeof text - 1)

enum { UNKNOWN, ACCESS_DENIED, WOULD_BLOCK = 8 };

static int failed(const char *what, size_t count, uint8_t code) {
    say(what, count);
    if (code == ACCESS_DENIED) SAY(": access-denied\n");
    else SAY(": another error\n");
    return 1;
}
#define FAILED(what, code) failed(what, sizeof what - 1, code)

static void wait_for(int32_t pollable) {
    block(pollable);
    drop_pollable(pollable);
}

typedef struct {
    const char *text;
    size_t count;
} string;

static int32_t port_of(string text) {
    int32_t port = 0;
    for (size_t at = 0; at < text.count; at++) port = port * 10 + text.text[at] - '0';
    return port;
}

__attribute__((export_name("wasi:cli/run@0.2.12#run"))) int run(void) {
    get_arguments(&ret);
    string *args = (string *)ret.word[0];
    if (ret.word[1] < 3) return FAILED("no name and port", UNKNOWN);
    int32_t network = instance_network(), port = port_of(args[2]);

    resolve_addresses(network, args[1].text, args[1].count, &ret);
    if (ret.byte[0]) return FAILED("look up", ret.byte[4]);
    int32_t lookup = ret.word[1];
    // result<option<ip-address>>: the option at 2, the address's family at 4, its numbers at 6.
    do {
        wait_for(subscribe_lookup(lookup));
        next_address(lookup, &ret);
    } while (ret.byte[0] ? ret.byte[2] == WOULD_BLOCK : ret.byte[2] && ret.byte[4]);
    if (ret.byte[0]) return FAILED("look up", ret.byte[2]);
    if (!ret.byte[2]) return FAILED("no address", UNKNOWN);
    uint8_t ip[4] = {ret.byte[6], ret.byte[7], ret.byte[8], ret.byte[9]};

    create_tcp_socket(0, &ret);
    if (ret.byte[0]) return FAILED("socket", ret.byte[4]);
    int32_t socket = ret.word[1];
    start_connect(socket, network, 0, port, ip[0], ip[1], ip[2], ip[3], 0, 0, 0, 0, 0, 0, &ret);
    if (ret.byte[0]) return FAILED("connect", ret.byte[1]);
    do {
        wait_for(subscribe_socket(socket));
        finish_connect(socket, &ret);
    } while (ret.byte[0] && ret.byte[4] == WOULD_BLOCK);
    if (ret.byte[0]) return FAILED("connect", ret.byte[4]);

    int32_t input = ret.word[1], output = ret.word[2];
    static const char line[] = "hello from C\n";
    write_all(output, line, sizeof line - 1, &ret);
    if (ret.byte[0]) return FAILED("write", UNKNOWN);
    read_some(input, 100, &ret);
    if (ret.byte[0]) return FAILED("read", UNKNOWN);
    const char *answer = (const char *)ret.word[1];
    size_t count = ret.word[2];
    SAY("answer: ");
    say(answer, count);
    return 0;
}
