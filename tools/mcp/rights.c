/*
 * rights.c - verdicts: what the roles of a principal allow. Does not read files (rights_read.c) and does not know requests (gate.c).
 */
#include "tools/mcp/rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/mem.h"

bool pw_names_match(const pw_names *names, const char *name)
{
    for (size_t i = 0; i < names->len; i++) {
        const char *rule = names->list[i];
        const size_t size = strlen(rule);
        const bool rest = size > 0 && rule[size - 1] == '*';
        if (rest ? strncmp(rule, name, size - 1) == 0 : strcmp(rule, name) == 0) {
            return true;
        }
    }
    return false;
}

pw_rights *pw_rights_share(pw_rights *rights)
{
    rights->refs++;
    return rights;
}

void pw_rights_release(pw_rights *rights)
{
    if (rights != NULL && --rights->refs == 0) {
        pawl_scope_free(rights->scope);
        pw_free(rights);
    }
}

const pw_role *pw_rights_role(const pw_rights *rights, const char *name)
{
    for (size_t i = 0; i < rights->roles_len; i++) {
        if (strcmp(rights->roles[i].name, name) == 0) {
            return &rights->roles[i];
        }
    }
    return NULL;
}

/* ---- a principal ---- */

void pw_who_add(pw_who *who, const char *role)
{
    const pw_role *r = pw_rights_role(who->rights, role);
    for (size_t i = 0; i < who->roles_len; i++) {
        r = who->roles[i] == r ? NULL : r;
    }
    if (r != NULL && who->roles_len < PW_WHO_ROLES_MAX) {
        who->roles[who->roles_len++] = r;
    }
}

static void add_all(pw_who *who, const pw_names *roles)
{
    for (size_t i = 0; roles != NULL && i < roles->len; i++) {
        pw_who_add(who, roles->list[i]);
    }
}

static int by_name(const void *key, const void *item)
{
    return strcmp(key, ((const pw_principal *)item)->name);
}

static const pw_principal *entry_of(const pw_rights *rights, const char *name)
{
    return rights->principals_len == 0 ? NULL
                                       : bsearch(name, rights->principals, rights->principals_len,
                                                 sizeof *rights->principals, by_name);
}

pw_who *pw_who_new(pw_rights *rights, const char *principal, const char *workspace,
                   const pw_names *roles)
{
    pw_who *who = pw_calloc(1, sizeof *who);
    const pw_principal *entry = entry_of(rights, principal);
    workspace = workspace[0] != '\0' || entry == NULL ? workspace : entry->workspace;
    const bool shares = workspace[0] != '\0';
    const int named =
        who != NULL ? snprintf(who->principal, sizeof who->principal, "%s", principal) : -1;
    const int owned = who != NULL ? snprintf(who->owner, sizeof who->owner, "%s:%s",
                                             shares ? "w" : "p", shares ? workspace : principal)
                                  : -1;
    if (strlen(workspace) >= sizeof who->workspace) {
        pw_free(who);
        return NULL;
    }
    if (named <= 0 || (size_t)named >= sizeof who->principal || owned < 0 ||
        (size_t)owned >= sizeof who->owner) {
        pw_free(who);
        return NULL;
    }
    (void)snprintf(who->workspace, sizeof who->workspace, "%s", workspace);
    who->refs = 1;
    who->rights = pw_rights_share(rights);
    add_all(who, roles);
    add_all(who, entry != NULL ? &entry->roles : NULL);
    return who;
}

pw_who *pw_who_share(pw_who *who)
{
    if (who != NULL) {
        who->refs++;
    }
    return who;
}

void pw_who_release(pw_who *who)
{
    if (who != NULL && --who->refs == 0) {
        pw_rights_release(who->rights);
        pw_free(who);
    }
}

static bool same_names(const pw_names *a, const pw_names *b)
{
    bool same = a->len == b->len;
    for (size_t i = 0; same && i < a->len; i++) {
        same = strcmp(a->list[i], b->list[i]) == 0;
    }
    return same;
}

static bool same_role(const pw_role *x, const pw_role *y)
{
    return x->operations == y->operations && x->any == y->any && x->all_runs == y->all_runs &&
           same_names(&x->tools, &y->tools) && same_names(&x->workflows, &y->workflows);
}

bool pw_who_same(const pw_who *a, const pw_who *b)
{
    bool same = a->roles_len == b->roles_len && strcmp(a->owner, b->owner) == 0;
    for (size_t i = 0; same && i < a->roles_len; i++) {
        same = same_role(a->roles[i], b->roles[i]);
    }
    return same;
}

/* Names of its own, or a wider rule of the other. */
static bool names_within(const pw_names *now, const pw_names *was)
{
    bool within = true;
    for (size_t i = 0; within && i < was->len; i++) {
        within = pw_names_match(now, was->list[i]);
    }
    return within;
}

static bool role_covers(const pw_role *now, const pw_role *was)
{
    return (was->operations & ~now->operations) == 0 && (now->all_runs || !was->all_runs) &&
           (now->any || (!was->any && names_within(&now->tools, &was->tools) &&
                         names_within(&now->workflows, &was->workflows)));
}

bool pw_who_covers(const pw_who *now, const pw_who *was)
{
    bool covers = strcmp(now->owner, was->owner) == 0;
    for (size_t i = 0; covers && i < was->roles_len; i++) {
        bool found = false;
        for (size_t k = 0; !found && k < now->roles_len; k++) {
            found = role_covers(now->roles[k], was->roles[i]);
        }
        covers = found;
    }
    return covers;
}

/* ---- verdicts ---- */

static bool allows(const pw_role *r, pw_operation op)
{
    return (r->operations >> op & 1u) != 0;
}

static bool of_workflow(const pw_role *r, const char *workflow)
{
    return r->any || pw_names_match(&r->workflows, workflow);
}

static bool of_offer(const pw_role *r, const char *name, const char *workflow)
{
    return r->any || pw_names_match(&r->tools, name) || pw_names_match(&r->workflows, workflow);
}

bool pw_who_may(const pw_who *who, pw_operation op)
{
    bool may = who == NULL;
    for (size_t i = 0; !may && i < who->roles_len; i++) {
        may = allows(who->roles[i], op);
    }
    return may;
}

bool pw_who_may_offer(const pw_who *who, pw_operation op, const char *name, const char *workflow)
{
    bool may = who == NULL;
    for (size_t i = 0; !may && i < who->roles_len; i++) {
        may = allows(who->roles[i], op) && of_offer(who->roles[i], name, workflow);
    }
    return may;
}

bool pw_who_may_workflow(const pw_who *who, pw_operation op, const char *workflow)
{
    bool may = who == NULL;
    for (size_t i = 0; !may && i < who->roles_len; i++) {
        may = allows(who->roles[i], op) && of_workflow(who->roles[i], workflow);
    }
    return may;
}

bool pw_who_may_run(const pw_who *who, pw_operation op, bool own, const char *workflow)
{
    bool may = who == NULL;
    for (size_t i = 0; !may && i < who->roles_len; i++) {
        const pw_role *r = who->roles[i];
        may = allows(r, op) &&
              (own || (r->all_runs && (r->any || (workflow != NULL && of_workflow(r, workflow)))));
    }
    return may;
}

bool pw_who_may_foreign(const pw_who *who, pw_operation op)
{
    bool may = who == NULL;
    for (size_t i = 0; !may && i < who->roles_len; i++) {
        may = allows(who->roles[i], op) && who->roles[i]->all_runs;
    }
    return may;
}

/* ---- scopes ---- */

static bool gives(const pw_who *who, const pw_names *roles, pw_operation op, const char *name,
                  const char *workflow)
{
    bool does = false;
    for (size_t i = 0; !does && i < roles->len; i++) {
        const pw_role *r = pw_rights_role(who->rights, roles->list[i]);
        does = r != NULL && allows(r, op) &&
               (name == NULL ? workflow == NULL || of_workflow(r, workflow)
                             : of_offer(r, name, workflow != NULL ? workflow : ""));
    }
    return does;
}

void pw_who_needs(const pw_who *who, pw_operation op, const char *name, const char *workflow,
                  char *ret_scopes, size_t size)
{
    const pw_issuer *issuer = who->issuer;
    ret_scopes[0] = '\0';
    for (size_t i = 0; issuer != NULL && i < issuer->scopes_len; i++) {
        if (gives(who, &issuer->scopes[i].roles, op, name, workflow)) {
            (void)snprintf(ret_scopes, size, "%s%s%s", who->scopes,
                           who->scopes[0] != '\0' ? " " : "", issuer->scopes[i].scope);
            return;
        }
    }
}
