/* http/api_description.h: what each route is for and which parameters it takes, for the OpenAPI
 * document. A test holds it to the table of routes. */
#pragma once

#include <stddef.h>

enum {
    API_REQUIRED = 1,
    API_REPEATED = 2,
    API_URL_ONLY = 4, /* not looked for in a form */
};

struct api_parameter {
    const char *name;
    const char *type; /* of JSON schema: string, integer, number or boolean */
    const char *text;
    unsigned flags; /* API_REQUIRED and so on */
};

struct api_description {
    const char *path; /* as in the table of routes */
    const char *tag;
    const char *summary;
    const struct api_parameter *const *parameters; /* NULL-terminated; NULL: none */
    const char *media_type;                        /* of success; NULL: none */
    const char *body_type; /* of a body that is no form; NULL: a form with the parameters */
};

extern const struct api_description api_descriptions[];
extern const size_t api_description_count;
