#include "web_guard.h"

#include <assert.h>
#include <crypt.h>
#include <gnutls/crypto.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "narthex/base/arena.h"
#include "narthex/base/clock.h"
#include "narthex/base/log.h"
#include "narthex/base/mem.h"
#include "narthex/base/thread.h"
#include "narthex/config/web_tls.h"

enum { KEY_BYTES = 32, CACHE_ENTRIES = 100, CREDENTIAL_BYTES_MAX = 4096, WATCHED_FILES = 4 };

/* What tells that a file was replaced or rewritten. */
struct file_mark {
    int64_t changed_ns;
    int64_t size;
    uint64_t inode;
};

struct web_state {
    atomic_uint users;
    struct web_config *config; /* NULL: broken */
    struct web_tls *tls;       /* NULL: none, or broken */
    struct file_mark marks[WATCHED_FILES];
};

/* Outcomes of hashing, so that a client pays once. Keys are HMACs with a secret of this process:
 * no password is kept. */
struct outcome {
    uint8_t key[KEY_BYTES];
    bool used;
    bool right;
};

struct web_guard {
    char *path;
    bool has_tls;
    uint8_t secret[KEY_BYTES];
    int64_t rate_interval_ns;
    double burst;

    struct mutex lock;
    /* guarded by lock */
    struct web_state *state;
    double tokens;
    int64_t refilled_ns;
    struct outcome outcomes[CACHE_ENTRIES];
    uint32_t next_outcome;

    struct mutex hash_lock; /* one hash at a time */
};

/* ---- the file ---- */

static struct file_mark mark_of(const char *path)
{
    struct stat info;
    if (path == NULL || path[0] == '\0' || stat(path, &info) != 0)
        return (struct file_mark){0};
    return (struct file_mark){
        .changed_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec,
        .size = info.st_size,
        .inode = info.st_ino,
    };
}

static void take_marks(const struct web_guard *guard, const struct web_config *config,
                       struct file_mark marks[WATCHED_FILES])
{
    marks[0] = mark_of(guard->path);
    marks[1] = mark_of(config == NULL ? NULL : config->tls.cert_file.data);
    marks[2] = mark_of(config == NULL ? NULL : config->tls.key_file.data);
    marks[3] = mark_of(config == NULL ? NULL : config->tls.client_ca_file.data);
}

static struct web_state *load_state(const struct web_guard *guard, err_t *err, struct strbuf *why)
{
    struct web_state *state = MEM_NEW(MEM_HTTP, struct web_state);
    atomic_init(&state->users, 1);
    /* Marks first: a change while reading is seen the next time. */
    state->marks[0] = mark_of(guard->path);
    *err = web_config_load(guard->path, &state->config, why);
    struct file_mark config_mark = state->marks[0];
    take_marks(guard, state->config, state->marks);
    state->marks[0] = config_mark;
    if (*err == OK && state->config->tls.enabled)
        *err = web_tls_create(&state->config->tls, &state->tls, why);
    return state;
}

void web_state_unpin(struct web_state *state)
{
    if (state == NULL || atomic_fetch_sub_explicit(&state->users, 1, memory_order_acq_rel) > 1)
        return;
    web_tls_destroy(state->tls);
    web_config_free(state->config);
    mem_free(MEM_HTTP, state);
}

static bool changed_locked(const struct web_guard *guard)
{
    struct file_mark marks[WATCHED_FILES];
    take_marks(guard, guard->state->config, marks);
    for (size_t i = 0; i < WATCHED_FILES; i++) {
        const struct file_mark *old = &guard->state->marks[i];
        if (marks[i].changed_ns != old->changed_ns || marks[i].size != old->size ||
            marks[i].inode != old->inode)
            return true;
    }
    return false;
}

struct web_state *web_guard_pin(struct web_guard *guard)
{
    if (guard == NULL)
        return NULL;
    mutex_lock(&guard->lock);
    if (changed_locked(guard)) {
        struct strbuf why = STRBUF_INIT;
        err_t err;
        struct web_state *state = load_state(guard, &err, &why);
        if (err != OK)
            LOG_ERROR("Unable to parse configuration", "file", guard->path, "err",
                      strbuf_cstr(&why));
        strbuf_deinit(&why);
        web_state_unpin(guard->state);
        guard->state = state;
    }
    struct web_state *state = guard->state;
    atomic_fetch_add_explicit(&state->users, 1, memory_order_relaxed);
    mutex_unlock(&guard->lock);
    return state;
}

const struct web_config *web_state_config(const struct web_state *state)
{
    return state->config;
}

bool web_state_open_session(struct web_state *state, gnutls_session_t session)
{
    return state->tls != NULL && web_tls_apply(state->tls, session);
}

/* ---- the guard ---- */

err_t web_guard_create(const char *path, struct web_guard **out, struct strbuf *why)
{
    *out = NULL;
    if (path == NULL || path[0] == '\0')
        return OK;
    struct web_guard *guard = MEM_NEW(MEM_HTTP, struct web_guard);
    guard->path = mem_dup(MEM_HTTP, path, strlen(path));
    mutex_init(&guard->lock);
    mutex_init(&guard->hash_lock);
    err_t err;
    guard->state = load_state(guard, &err, why);
    if (err == OK && gnutls_rnd(GNUTLS_RND_KEY, guard->secret, sizeof guard->secret) < 0)
        err = err_fail(why, ERR_IO, "no random bytes");
    if (err != OK) {
        web_guard_destroy(guard);
        return err;
    }
    const struct web_config *config = guard->state->config;
    guard->has_tls = config->tls.enabled;
    guard->rate_interval_ns = config->rate_interval_ns;
    guard->burst = (double)config->rate_burst;
    guard->tokens = guard->burst;
    *out = guard;
    return OK;
}

void web_guard_destroy(struct web_guard *guard)
{
    if (guard == NULL)
        return;
    web_state_unpin(guard->state);
    gnutls_memset(guard->secret, 0, sizeof guard->secret);
    mutex_deinit(&guard->hash_lock);
    mutex_deinit(&guard->lock);
    mem_free(MEM_HTTP, guard->path);
    mem_free(MEM_HTTP, guard);
}

bool web_guard_has_tls(const struct web_guard *guard)
{
    return guard != NULL && guard->has_tls;
}

bool web_guard_take_token(struct web_guard *guard, int64_t now_ns)
{
    if (guard == NULL || guard->rate_interval_ns == 0)
        return true;
    mutex_lock(&guard->lock);
    if (guard->refilled_ns != 0)
        guard->tokens += (double)(now_ns - guard->refilled_ns) / (double)guard->rate_interval_ns;
    if (guard->tokens > guard->burst)
        guard->tokens = guard->burst;
    guard->refilled_ns = now_ns;
    bool taken = guard->tokens >= 1;
    if (taken)
        guard->tokens -= 1;
    mutex_unlock(&guard->lock);
    return taken;
}

/* ---- passwords ---- */

struct credentials {
    struct str user;
    struct str password; /* a NUL after it */
    char text[CREDENTIAL_BYTES_MAX];
};

/* "Basic <base64 of user:password>"; anything else is no credential. */
static bool read_credentials(struct str authorization, struct credentials *out)
{
    static const char scheme[] = "Basic ";
    size_t skip = sizeof scheme - 1;
    if (authorization.size < skip ||
        !str_equal_nocase(str_from(authorization.data, skip), STR("Basic ")))
        return false;
    gnutls_datum_t encoded = {(unsigned char *)authorization.data + skip,
                              (unsigned)(authorization.size - skip)};
    gnutls_datum_t decoded;
    if (encoded.size == 0 || gnutls_base64_decode2(&encoded, &decoded) < 0)
        return false;
    bool fits = decoded.size < sizeof out->text;
    size_t size = fits ? decoded.size : 0;
    memcpy(out->text, decoded.data, size);
    out->text[size] = '\0';
    gnutls_memset(decoded.data, 0, decoded.size);
    gnutls_free(decoded.data);
    struct str text = str_from(out->text, size);
    size_t colon = str_find(text, ':', 0);
    if (!fits || colon == SIZE_MAX)
        return false;
    out->user = str_from(text.data, colon);
    out->password = str_from(text.data + colon + 1, size - colon - 1);
    return true;
}

static const struct web_pair *find_user(const struct web_config *config, struct str name)
{
    for (uint32_t i = 0; i < config->user_count; i++) {
        if (str_equal(config->users[i].name, name))
            return &config->users[i];
    }
    return NULL;
}

/* HMAC over hash and credential: a changed hash in the file makes old outcomes unreachable. */
static void outcome_key(const struct web_guard *guard, const struct web_pair *user,
                        const struct credentials *credentials, uint8_t key[KEY_BYTES])
{
    struct strbuf text = STRBUF_INIT;
    struct str hash = user == NULL ? STR("") : user->value;
    strbuf_printf(&text, "%zu %zu:", hash.size, credentials->user.size);
    strbuf_add_str(&text, hash);
    strbuf_add_str(&text, credentials->user);
    strbuf_add_str(&text, credentials->password);
    int code = gnutls_hmac_fast(GNUTLS_MAC_SHA256, guard->secret, sizeof guard->secret, text.data,
                                text.size, key);
    assert(code == 0);
    (void)code;
    gnutls_memset(text.data, 0, text.size);
    strbuf_deinit(&text);
}

static enum web_verdict recall(struct web_guard *guard, const uint8_t key[KEY_BYTES])
{
    enum web_verdict verdict = WEB_ASK;
    mutex_lock(&guard->lock);
    for (size_t i = 0; i < CACHE_ENTRIES; i++) {
        const struct outcome *outcome = &guard->outcomes[i];
        if (outcome->used && memcmp(outcome->key, key, KEY_BYTES) == 0)
            verdict = outcome->right ? WEB_ADMIT : WEB_DENY;
    }
    mutex_unlock(&guard->lock);
    return verdict;
}

static void remember(struct web_guard *guard, const uint8_t key[KEY_BYTES], bool right)
{
    mutex_lock(&guard->lock);
    struct outcome *outcome = &guard->outcomes[guard->next_outcome++ % CACHE_ENTRIES];
    /* Guesses do not push out what is right, or everybody would wait behind their hashing. */
    for (size_t i = 0; i < CACHE_ENTRIES && outcome->used && outcome->right; i++)
        outcome = &guard->outcomes[guard->next_outcome++ % CACHE_ENTRIES];
    if (right || !outcome->right) {
        memcpy(outcome->key, key, KEY_BYTES);
        outcome->right = right;
        outcome->used = true;
    }
    mutex_unlock(&guard->lock);
}

enum web_verdict web_guard_judge(struct web_guard *guard, const struct web_config *config,
                                 struct str authorization)
{
    if (guard == NULL || config->user_count == 0)
        return WEB_ADMIT;
    struct credentials credentials;
    uint8_t key[KEY_BYTES];
    if (!read_credentials(authorization, &credentials))
        return WEB_DENY;
    outcome_key(guard, find_user(config, credentials.user), &credentials, key);
    gnutls_memset(credentials.text, 0, sizeof credentials.text);
    return recall(guard, key);
}

/* bcrypt stops at a NUL, which a password here can hold: such a one is never right. */
static bool password_fits(struct str hash, struct str password)
{
    struct crypt_data *data = MEM_NEW(MEM_HTTP, struct crypt_data);
    const char *made = crypt_r(password.data, hash.data, data);
    bool fits = made != NULL && strlen(made) == hash.size && hash.size > 0 &&
                gnutls_memcmp(made, hash.data, hash.size) == 0 &&
                str_find(password, '\0', 0) == SIZE_MAX;
    gnutls_memset(data, 0, sizeof *data);
    mem_free(MEM_HTTP, data);
    return fits;
}

bool web_guard_verify(struct web_guard *guard, const struct web_config *config,
                      struct str authorization)
{
    struct credentials credentials;
    uint8_t key[KEY_BYTES];
    if (config->user_count == 0)
        return true;
    if (!read_credentials(authorization, &credentials))
        return false;
    const struct web_pair *user = find_user(config, credentials.user);
    outcome_key(guard, user, &credentials, key);
    mutex_lock(&guard->hash_lock);
    enum web_verdict verdict = recall(guard, key);
    if (verdict == WEB_ASK) {
        /* An unknown user costs what a known one does. */
        const struct web_pair *hashed = user == NULL ? &config->users[0] : user;
        bool fits = password_fits(hashed->value, credentials.password);
        verdict = user != NULL && fits ? WEB_ADMIT : WEB_DENY;
        remember(guard, key, verdict == WEB_ADMIT);
    }
    mutex_unlock(&guard->hash_lock);
    gnutls_memset(credentials.text, 0, sizeof credentials.text);
    return verdict == WEB_ADMIT;
}
