/* Property: an answer read piece by piece is what a slow reader of the whole text, written from the
 * rules alone, says it is: verdict, body, framing and fate of the connection. The input chooses
 * tokens of answers and the sizes of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "http_wire_reader.h"
#include "narthex/base/mem.h"

static const char *const tokens[] = {
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 404 Not Found\r\n",
    "HTTP/1.1 204\r\n",
    "HTTP/1.1 100 Continue\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "content-length:3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Content-Type: text/plain\r\n",
    "X: y\r\n",
    "\r\n",
    "5\r\nabcde\r\n",
    "1;e\r\nx\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "abcde",
    "abc",
    "\n",
    "\r",
    " ",
    ":",
    "1",
};
enum { TOKEN_COUNT = sizeof tokens / sizeof tokens[0], TEXT_MAX = 16384 };

/* ---- the reference: the whole text at once ---- */

struct reading {
    enum http_wire_verdict verdict;
    uint32_t status;
    bool keeps;
    size_t body_size;
    char body[TEXT_MAX];
};

struct text {
    const char *data;
    size_t size, at;
};

/* The next line without its end. -1: it is not complete; 0: it ends in a bare line feed. */
static int next_line(struct text *in, char *line)
{
    size_t size = 0;
    while (in->at + size < in->size && in->data[in->at + size] != '\n')
        size++;
    if (in->at + size == in->size)
        return -1;
    bool good = size > 0 && in->data[in->at + size - 1] == '\r';
    memcpy(line, in->data + in->at, size);
    line[good ? size - 1 : size] = '\0';
    in->at += size + 1;
    return good;
}

struct fields {
    int lengths, codings, bad;
    unsigned long length;
    bool close, keep;
};

static bool same_word(const char *a, const char *b)
{
    return str_equal_nocase(str_from_cstr(a), str_from_cstr(b));
}

/* Length of the name of a field; 0 when the line is none. */
static size_t field_name(const char *line)
{
    size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "!#$%&'*+-.^_`|~");
    if (line[name] != ':')
        return 0;
    for (const char *c = line + name + 1; *c != '\0'; c++) {
        if (((unsigned char)*c < 32 && *c != '\t') || *c == 127)
            return 0;
    }
    return name;
}

static void read_field(char *line, struct fields *f)
{
    size_t name = field_name(line);
    if (name == 0) {
        f->bad++;
        return;
    }
    line[name] = '\0';
    struct str trimmed = str_trim(str_from_cstr(line + name + 1));
    char value[TEXT_MAX];
    memcpy(value, trimmed.data, trimmed.size);
    value[trimmed.size] = '\0';
    if (same_word(line, "content-length")) {
        f->lengths++;
        f->bad +=
            value[0] == '\0' || strlen(value) > 18 || strspn(value, "0123456789") != strlen(value);
        f->length = strtoul(value, NULL, 10);
    } else if (same_word(line, "transfer-encoding")) {
        f->codings++;
        f->bad += !same_word(value, "chunked");
    } else if (same_word(line, "connection")) {
        for (char *word = strtok(value, ","); word != NULL; word = strtok(NULL, ",")) {
            struct str w = str_trim(str_from_cstr(word));
            f->close |= str_equal_nocase(w, STR("close"));
            f->keep |= str_equal_nocase(w, STR("keep-alive"));
        }
    }
}

static enum http_wire_verdict read_chunks(struct text *in, struct reading *out)
{
    static char line[TEXT_MAX];
    for (;;) {
        int good = next_line(in, line);
        if (good <= 0)
            return good < 0 ? HTTP_WIRE_MORE : HTTP_WIRE_ODD;
        size_t digits = strspn(line, "0123456789abcdefABCDEF");
        if (digits == 0 || digits > 15 || (line[digits] != '\0' && line[digits] != ';'))
            return HTTP_WIRE_ODD;
        size_t size = strtoul(line, NULL, 16);
        if (size == 0)
            break;
        size_t there = in->size - in->at < size ? in->size - in->at : size;
        memcpy(out->body + out->body_size, in->data + in->at, there);
        out->body_size += there;
        in->at += there;
        if (there < size)
            return HTTP_WIRE_MORE;
        good = next_line(in, line);
        if (good < 0)
            return HTTP_WIRE_MORE;
        if (good == 0 || line[0] != '\0')
            return HTTP_WIRE_ODD;
    }
    for (;;) {
        int good = next_line(in, line);
        if (good < 0)
            return HTTP_WIRE_MORE;
        if (good > 0 && line[0] == '\0')
            return HTTP_WIRE_DONE;
        if (good == 0 || field_name(line) == 0)
            return HTTP_WIRE_ODD;
    }
}

static enum http_wire_verdict read_length(struct text *in, size_t length, struct reading *out)
{
    size_t there = in->size - in->at < length ? in->size - in->at : length;
    memcpy(out->body, in->data + in->at, there);
    out->body_size = there;
    in->at += there;
    return there < length ? HTTP_WIRE_MORE : HTTP_WIRE_DONE;
}

static enum http_wire_verdict read_whole(struct text *in, struct reading *out)
{
    static char line[TEXT_MAX];
    int good = next_line(in, line);
    if (good < 0)
        return HTTP_WIRE_MORE;
    if (good == 0 || strlen(line) < 12 || memcmp(line, "HTTP/1.", 7) != 0 ||
        (line[7] != '0' && line[7] != '1') || line[8] != ' ' || line[9] < '2' || line[9] > '9' ||
        line[10] < '0' || line[10] > '9' || line[11] < '0' || line[11] > '9' ||
        (line[12] != '\0' && line[12] != ' '))
        return HTTP_WIRE_ODD;
    bool old = line[7] == '0';
    out->status = (uint32_t)strtoul(line + 9, NULL, 10);
    struct fields f = {0};
    for (;;) {
        good = next_line(in, line);
        if (good < 0)
            return HTTP_WIRE_MORE;
        if (good == 0)
            return HTTP_WIRE_ODD;
        if (line[0] == '\0')
            break;
        read_field(line, &f);
        if (f.bad > 0 || f.lengths > 1 || f.codings > 1 || (f.codings > 0 && old))
            return HTTP_WIRE_ODD;
    }
    if (f.lengths > 0 && f.codings > 0)
        return HTTP_WIRE_ODD;
    out->keeps = !f.close && (!old || f.keep);
    if (out->status == 204 || out->status == 304)
        return HTTP_WIRE_DONE;
    if (f.codings > 0)
        return read_chunks(in, out);
    return read_length(in, f.lengths > 0 ? f.length : SIZE_MAX, out);
}

/* ---- the property ---- */

static bool take_body(void *context, const char *data, size_t size)
{
    struct reading *out = context;
    memcpy(out->body + out->body_size, data, size);
    out->body_size += size;
    return true;
}

static void read_pieces(const char *text, size_t size, const uint8_t *steps, size_t step_count,
                        struct reading *out)
{
    struct http_wire_reader reader = {0};
    struct http_answer answer;
    http_wire_reader_start(&reader, &answer, take_body, out);
    out->verdict = HTTP_WIRE_MORE;
    for (size_t at = 0, i = 0; at < size && out->verdict == HTTP_WIRE_MORE; i++) {
        size_t step = 1 + (size_t)steps[i % step_count] * 2;
        if (step > size - at)
            step = size - at;
        /* Of its exact size: reading beyond it is found by the sanitizers. */
        char *copy = mem_dup(MEM_TEST, text + at, step);
        out->verdict = http_wire_reader_take(&reader, copy, step);
        mem_free(MEM_TEST, copy);
        at += step;
    }
    out->status = answer.status;
    out->keeps = http_wire_reader_keeps(&reader);
    http_wire_reader_deinit(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX];
    static struct reading slow, fast;
    if (size < 8 || size > 500)
        return 0;
    size_t text_size = 0;
    /* The first token is a status line more often than not. */
    for (size_t i = 4; i < size; i++) {
        const char *token = tokens[data[i] % (i == 4 && data[3] % 8 != 0 ? 4 : TOKEN_COUNT)];
        memcpy(text + text_size, token, strlen(token));
        text_size += strlen(token);
    }
    slow.body_size = fast.body_size = 0;
    slow.keeps = false;
    slow.status = 0;
    struct text in = {text, text_size, 0};
    slow.verdict = read_whole(&in, &slow);
    read_pieces(text, text_size, data, 3, &fast);
    if (slow.verdict != fast.verdict)
        abort();
    if (slow.verdict == HTTP_WIRE_ODD)
        return 0;
    if (slow.body_size != fast.body_size || memcmp(slow.body, fast.body, slow.body_size) != 0)
        abort();
    if (slow.verdict == HTTP_WIRE_DONE && slow.status != fast.status)
        abort();
    /* What follows the answer spoils the connection, if it came with the last piece: whoever keeps
     * the connection finds the rest. */
    if (slow.verdict == HTTP_WIRE_DONE && fast.keeps && !slow.keeps)
        abort();
    if (slow.verdict == HTTP_WIRE_DONE && in.at == text_size && fast.keeps != slow.keeps)
        abort();
    return 0;
}
