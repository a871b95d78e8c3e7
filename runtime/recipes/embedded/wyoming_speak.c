/* Speaks a text: asks a Wyoming server on a Unix socket, writes what it says to stdout.
 *
 *     cc -std=c99 -O2 -Wall -Wextra -o wyoming_speak wyoming_speak.c
 *
 *     qwen3-tts-edge serve --wyoming unix:///run/speech/wyoming.sock
 *     wyoming_speak /run/speech/wyoming.sock "The kettle is on." > kettle.wav
 *     wyoming_speak -r /run/speech/wyoming.sock "It is on." | aplay -r 24000 -f S16_LE
 *
 *     -r        the samples alone: signed, 16 bits, little-endian, mono
 *     -v VOICE  who speaks
 *
 * Ends with 0 when all is spoken, with 1 when the server could not, with 2 when called wrongly.
 * Whoever ends this program ends the speech: the server makes no frame more of it.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define UNKNOWN 0xFFFFFFFFu /* the size of a WAV that is still spoken */
#define LONGEST (1u << 20)  /* bytes of an event's data */

static void fail(const char *format, ...)
{
    va_list given;
    va_start(given, format);
    fputs("wyoming_speak: ", stderr);
    vfprintf(stderr, format, given);
    fputc('\n', stderr);
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL)
        fail("no memory");
    return memory;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM, 0);

    if (strlen(path) >= sizeof address.sun_path)
        fail("%s is too long for a socket", path);
    strcpy(address.sun_path, path);
    if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof address))
        fail("nobody listens on %s", path);
    return server;
}

/* A string in JSON. What is not ASCII is UTF-8 in both. */
static char *quoted(const char *text)
{
    char *json = allocate(6 * strlen(text) + 3), *end = json;

    *end++ = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            end += sprintf(end, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            end += sprintf(end, "\\u%04x", (unsigned)*text);
        else
            *end++ = *text;
    }
    strcpy(end, "\"");
    return json;
}

/* An event is a line that says its type and how many bytes of data and of sound follow. */
static void ask(int server, const char *text, const char *voice)
{
    const char *form = voice ? "{\"text\": %s, \"voice\": {\"name\": %s}}" : "{\"text\": %s}";
    char *words = quoted(text), *name = quoted(voice ? voice : "");
    int size = snprintf(NULL, 0, form, words, name);

    if (dprintf(server, "{\"type\": \"synthesize\", \"data_length\": %d}\n", size) < 0 ||
        dprintf(server, form, words, name) < 0)
        fail("the server is gone");
    free(words);
    free(name);
}

/* Where a value of a flat JSON object begins, or NULL. */
static const char *value(const char *json, const char *key)
{
    char name[32];
    const char *found;

    snprintf(name, sizeof name, "\"%s\"", key);
    found = strstr(json, name);
    return found ? found + strlen(name) + strspn(found + strlen(name), " :") : NULL;
}

static uint32_t number(const char *json, const char *key)
{
    const char *found = value(json, key);
    return found ? (uint32_t)strtoul(found, NULL, 10) : 0;
}

static int is(const char *event, const char *type)
{
    const char *found = value(event, "type");
    return found && strncmp(found + 1, type, strlen(type)) == 0 && found[1 + strlen(type)] == '"';
}

static void put(uint32_t number, int bytes)
{
    for (; bytes > 0; bytes--, number >>= 8)
        putchar((int)(number & 0xFF));
}

static void put_header(uint32_t rate, uint32_t width, uint32_t channels, uint32_t size)
{
    fputs("RIFF", stdout), put(size == UNKNOWN ? UNKNOWN : size + 36, 4);
    fputs("WAVEfmt ", stdout), put(16, 4), put(1, 2), put(channels, 2), put(rate, 4);
    put(rate * channels * width, 4), put(channels * width, 2), put(8 * width, 2);
    fputs("data", stdout), put(size, 4);
}

static void copy(FILE *server, uint32_t size)
{
    char piece[4096];

    while (size > 0) {
        size_t wanted = size < sizeof piece ? size : sizeof piece;
        size_t came = fread(piece, 1, wanted, server);
        if (came == 0)
            fail("the server is gone in the middle");
        if (fwrite(piece, 1, came, stdout) != came)
            fail("the sound cannot be written");
        size -= (uint32_t)came;
    }
    if (fflush(stdout))
        fail("the sound cannot be written");
}

static void listen_to(FILE *server, int raw)
{
    static char line[1 << 16], read[LONGEST + 1];
    uint32_t rate = 0, width = 0, channels = 0, written = 0;

    while (fgets(line, sizeof line, server)) {
        uint32_t size = number(line, "data_length"), sound = number(line, "payload_length");
        const char *data = size ? read : line; /* a server may put it into the line as well */

        if (size > LONGEST || fread(read, 1, size, server) != size)
            fail("the server sent no whole event");
        read[size] = '\0';
        if (is(line, "error"))
            fail("%s", data);
        if (is(line, "audio-start") && rate == 0) {
            rate = number(data, "rate");
            width = number(data, "width");
            channels = number(data, "channels");
            if (!raw)
                put_header(rate, width, channels, UNKNOWN);
        }
        copy(server, sound);
        written += sound;
        if (is(line, "audio-stop")) {
            if (!raw && fseek(stdout, 0, SEEK_SET) == 0) /* a file, not a pipe */
                put_header(rate, width, channels, written);
            if (fflush(stdout))
                fail("the sound cannot be written");
            return;
        }
    }
    fail("the server is gone before all was spoken");
}

int main(int count, char **arguments)
{
    const char *voice = NULL;
    int raw = 0, option, socket;
    FILE *server;

    while ((option = getopt(count, arguments, "rv:")) != -1) {
        if (option == 'r')
            raw = 1;
        else if (option == 'v')
            voice = optarg;
        else
            return 2;
    }
    if (count - optind != 2) {
        fputs("usage: wyoming_speak [-r] [-v VOICE] SOCKET TEXT\n", stderr);
        return 2;
    }
    socket = connect_to(arguments[optind]);
    ask(socket, arguments[optind + 1], voice);
    if ((server = fdopen(socket, "r")) == NULL)
        fail("no memory");
    listen_to(server, raw);
    fclose(server);
    return 0;
}
