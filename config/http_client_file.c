/* The HTTP client block as a file of its own. */
#include "narthex/config/http_client_file.h"

#include "config_impl.h"
#include "narthex/base/fs.h"

enum { HTTP_CLIENT_FILE_BYTES_MAX = 1 << 20 };

static const struct field http_client_file_fields[] = {
    HTTP_CLIENT_FIELDS,
    {NULL, 0, NULL, NULL, NULL, 0},
};
static const struct schema schema_http_client_file = {"config_util.HTTPClientConfig",
                                                      http_client_file_fields, check_http_client};

struct http_client_file {
    struct config_impl config; /* for its arena */
    struct http_client_config client;
};

err_t http_client_file_load(const char *path, struct http_client_file **file, struct strbuf *why)
{
    struct http_client_file *loaded = MEM_NEW(MEM_CONFIG, struct http_client_file);
    struct strbuf text = STRBUF_INIT;
    struct yaml_node *node;
    struct object *object;
    struct arena *arena = &loaded->config.arena;
    err_t err;
    arena_init(arena, MEM_CONFIG, SIZE_MAX);
    struct str folder = config__folder_of(arena_str(arena, str_from_cstr(path)));
    TRY_OUT(fs_read_file(path, HTTP_CLIENT_FILE_BYTES_MAX, &text, why));
    TRY_OUT(yaml_tree_parse(strbuf_str(&text), arena, &node, why));
    TRY_OUT(schema_decode(&schema_http_client_file, node, folder, arena, &object, why));
    config__build_http_client(&loaded->config, object, &loaded->client);
    *file = loaded;
out:
    if (err != OK)
        http_client_file_free(loaded);
    strbuf_deinit(&text);
    return err;
}

void http_client_file_free(struct http_client_file *file)
{
    if (file == NULL)
        return;
    arena_deinit(&file->config.arena);
    mem_free(MEM_CONFIG, file);
}

const struct http_client_config *http_client_file_config(const struct http_client_file *file)
{
    return &file->client;
}
