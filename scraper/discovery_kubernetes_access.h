/* Where the API server is and who we are to it: from the configuration, from the service account
 * that Kubernetes gives to a pod, or from a kubeconfig file. */
#pragma once

#include "narthex/base/arena.h"
#include "narthex/base/err.h"
#include "narthex/scraper/discovery.h"

struct kubernetes_access {
    struct arena arena;   /* of all strings that are not the configuration's */
    struct str server;    /* "https://10.0.0.1:443", no slash at the end */
    struct str own_space; /* the pod's namespace; empty outside of a cluster */
    struct http_client_config http;
};

/* The environment of a pod; tests make one. */
struct kubernetes_pod_environment {
    const char *host; /* NULL: not in a pod */
    const char *port;
    const char *account_folder; /* with token, ca.crt and namespace */
};

/* Fails when nothing says where the server is, or what says so cannot be used. The access is to be
 * closed in either case. */
err_t kubernetes_access_open(struct kubernetes_access *access,
                             const struct kubernetes_discovery_config *config,
                             const struct kubernetes_pod_environment *environment,
                             struct strbuf *why);
/* The namespaces to look into, each once; none: all of them. In the access' arena. */
const struct str *kubernetes_access_spaces(struct kubernetes_access *access,
                                           const struct kubernetes_discovery_config *config,
                                           uint32_t *count);
void kubernetes_access_close(struct kubernetes_access *access);

/* The current context of a kubeconfig file. Relative paths are relative to its folder. ERR_INVALID,
 * or ERR_UNSUPPORTED for a user that needs a program to be run. */
err_t kubernetes__kubeconfig_read(struct kubernetes_access *access, struct str path,
                                  struct strbuf *why);
