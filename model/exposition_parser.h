/* model/exposition_parser.h: what the files of the exposition parser share.
 *
 * Two readers stand over one body. The quick one (exposition_quick.c) takes lines of the
 * ordinary shape, which are nearly all, and declines everything else without having moved. The
 * exact one (exposition_text.c, exposition_openmetrics.c) cuts tokens by the rules of the format
 * and knows every error text; a line the quick reader takes means the same to the exact one.
 */
#pragma once

#include "narthex/model/exposition.h"

enum token {
    TOKEN_INVALID,
    TOKEN_EOF,
    TOKEN_LINEBREAK,
    TOKEN_WHITESPACE,
    TOKEN_HELP,
    TOKEN_TYPE,
    TOKEN_UNIT,
    TOKEN_EOFWORD,
    TOKEN_TEXT,
    TOKEN_COMMENT,
    TOKEN_BLANK,
    TOKEN_MNAME,
    TOKEN_QSTRING,
    TOKEN_BOPEN,
    TOKEN_BCLOSE,
    TOKEN_LNAME,
    TOKEN_LVALUE,
    TOKEN_EQUAL,
    TOKEN_COMMA,
    TOKEN_TIMESTAMP,
    TOKEN_VALUE,
};

enum lexer_state {
    LEX_INIT,
    LEX_COMMENT,
    LEX_META1, /* family name of HELP, TYPE, UNIT */
    LEX_META2, /* their text */
    LEX_LABELS,
    LEX_LVALUE,
    LEX_VALUE,
    LEX_TIMESTAMP,
    LEX_EXEMPLAR,
    LEX_EXEMPLAR_LVALUE, /* also before the exemplar's value, as the format's grammar has it */
    LEX_EXEMPLAR_TIMESTAMP,
};

/* Cuts tokens out of a body. A rejected byte leaves `at` on it, as error texts show it. */
struct lexer {
    const char *data;
    size_t size;
    size_t limit; /* size, or size + 1 when a final newline is imagined (text format) */
    size_t start; /* of the token */
    size_t at;    /* end of the token, the next byte to read */
    enum lexer_state state;
};

struct protobuf_reader;
struct start_reader;

/* An exemplar of a text format that was read and not asked for yet. */
struct pending_exemplar {
    struct str labels; /* raw, from behind the opening brace; empty: there is none */
    double value;
    bool has_timestamp;
    int64_t timestamp_ms;
};

struct exposition {
    enum exposition_format format;
    struct exposition_options options;
    struct lexer lexer;
    size_t entry_start;
    enum metadata_type type; /* of the latest TYPE line */
    bool ended;
    struct pending_exemplar exemplar; /* of the latest entry */
    struct protobuf_reader *protobuf; /* made on first use */
    struct start_reader *starts;      /* as above */
};

/* --- exposition_lex.c --- */

/* Byte at the position: '\n' for the imagined final newline, 0 behind the end. */
unsigned char lexer__byte(const struct lexer *lexer, size_t at);
/* Moves to the next byte and returns it. NUL is passed over where it may stand (label values, help
 * texts, comments). */
unsigned char lexer__next(struct lexer *lexer);
struct str lexer__token(const struct lexer *lexer);
/* [a-zA-Z_:][a-zA-Z0-9_:]* resp. without the colon, the first byte already judged. */
bool lexer__is_name_start(unsigned char c, bool colon);
void lexer__skip_name(struct lexer *lexer, bool colon);
/* "…" with backslash escapes, at the opening quote. False: `at` is where it broke. */
bool lexer__skip_quoted(struct lexer *lexer, bool newline_ends);
/* What comes behind a brace and behind '=' in labels, and whether names in quotes end with their
 * line. */
struct label_states {
    enum lexer_state after_brace;
    enum lexer_state after_equal;
    bool newline_ends;
};
/* A name, '=', ',' or the closing brace. */
enum token lexer__take_label_part(struct lexer *lexer, unsigned char c,
                                  const struct label_states *states);
/* The family name behind HELP, TYPE or UNIT. */
enum token lexer__take_family(struct lexer *lexer, unsigned char c);

/* "EXPECTED, got "text" ("TOKEN") while parsing: "line so far"". */
err_t exposition__fail_token(const struct exposition *exposition, const char *expected,
                             enum token got, struct strbuf *why);
/* Appends ` while parsing: "line so far"` to a text already in *why. */
err_t exposition__fail_here(const struct exposition *exposition, struct strbuf *why);
const char *exposition__token_name(enum token token);

/* A sample value as the formats define it; NaNs are made canonical. */
err_t exposition__parse_value(const struct exposition *exposition, struct str text, double *value,
                              struct strbuf *why);

/* Where the metric name inside braces was, for the exact readers. */
struct braces {
    bool named;       /* a name was given, before or inside the braces */
    bool is_exemplar; /* no name may stand here */
    bool comma_required;
};
/* How the formats differ in a sample up to its value. */
struct sample_grammar {
    enum token (*next)(struct lexer *);
    bool comma_required;
    size_t value_blanks; /* that the token of the value begins with */
};
/* Reads a sample whose first token is given: name, labels, value. */
err_t exposition__parse_sample(struct exposition *exposition, enum token token,
                               const struct sample_grammar *grammar, struct exposition_entry *entry,
                               struct strbuf *why);
/* Reads labels up to the closing brace; `next` gives tokens. */
err_t exposition__parse_braces(struct exposition *exposition, struct braces *braces,
                               enum token (*next)(struct lexer *), struct strbuf *why);
/* Type by its word; `openmetrics` has more of them. False if unknown. */
bool exposition__type_parse(struct str word, bool openmetrics, enum metadata_type *type);

/* --- readers --- */

err_t exposition__text_next(struct exposition *exposition, struct exposition_entry *entry,
                            struct strbuf *why);
err_t exposition__openmetrics_next(struct exposition *exposition, struct exposition_entry *entry,
                                   struct strbuf *why);

err_t exposition__protobuf_next(struct exposition *exposition, struct exposition_entry *entry,
                                struct strbuf *why);
bool exposition__protobuf_exemplar(struct exposition *exposition, struct arena *arena,
                                   struct exposition_exemplar *exemplar);
void exposition__protobuf_start(struct exposition *exposition);
void exposition__protobuf_destroy(struct protobuf_reader *reader);
void exposition__protobuf_key_labels(struct str key, struct arena *arena, struct label **items,
                                     uint32_t *count);

/* --- exposition_start.c --- */

/* Of a body whose entries are to carry their start timestamps. */
void exposition__starts_begin(struct exposition *exposition);
void exposition__starts_destroy(struct start_reader *reader);
/* Gives an entry that was just read its start, or its kind when it is itself a start. */
void exposition__starts_apply(struct exposition *exposition, struct exposition_entry *entry);

/* Size of the key at the body's position if the line is of the ordinary shape, else 0. */
size_t exposition__quick_key(const struct exposition *exposition);
/* A HELP or TYPE line; false without having moved if there is none of the ordinary shape. */
bool exposition__quick_metadata(struct exposition *exposition, struct exposition_entry *entry);
/* Value and the rest of a line behind its key; false without having moved if it is not ordinary. */
bool exposition__quick_value(struct exposition *exposition, size_t key_size, struct str same_text,
                             struct exposition_entry *entry);

/* --- exposition_labels.c --- */

/* exposition_key_labels for the two text formats. */
void exposition__text_key_labels(struct str key, enum metadata_type type, struct arena *arena,
                                 struct label **items, uint32_t *count);
/* Labels of an exemplar, sorted; `text` begins behind the opening brace. Escapes stay as they are.
 */
struct labels exposition__exemplar_labels(struct str text, struct arena *arena);
