/*
 * catalog.h - what is published: the tools, prompts and resources that workflows are offered as.
 *
 * A workflow says it itself (pawl_workflow_options.publish, README.md "Publishing"). The engine is asked for the list; what is older than
 * PW_MCPD_CATALOG_MS is asked for again before it is used. Order is by name.
 */
#ifndef PW_MCP_CATALOG_H
#define PW_MCP_CATALOG_H

#include "sdk/pawl_value.h"

#define PW_MCPD_CATALOG_MS 1000

typedef enum pw_mcpd_offer_kind {
    PW_MCPD_OFFER_TOOL,
    PW_MCPD_OFFER_PROMPT,
    PW_MCPD_OFFER_RESOURCE,
    PW_MCPD_OFFER_TEMPLATE
} pw_mcpd_offer_kind;

/** One thing that is offered; lives as long as the catalog's scope. */
typedef struct pw_mcpd_offer {
    pw_mcpd_offer_kind kind;
    const char *name; /* of the tool or prompt; the URI, or its template, of a resource */
    const char *workflow;
    const char *version;
    const char *description;
    const pawl_value *input_schema, *output_schema; /* nil = none */
    const pawl_value *says;     /* publish.tool, .prompt or .resource; may be nil */
    const pawl_value *shown[2]; /* of a tool: as each era lists it; NULL = not asked for yet */
    bool published;             /* else it is offered because all workflows are */
    bool pure; /* it says which activities it calls, and nothing outside sees them */
} pw_mcpd_offer;

enum { PW_MCPD_FIXED_MAX = 16, PW_MCPD_LISTED_MAX = 4 };

/** The answer to tools/list that a choice of tools makes. */
typedef struct pw_mcpd_listed {
    uint64_t key; /* digest of which tools, and the era; 0 = none */
    const char *text;
    size_t size;
} pw_mcpd_listed;

typedef struct pw_mcpd_catalog {
    pawl_scope *scope;           /* NULL = not known yet */
    const pawl_value *workflows; /* {workflows: [...]}: all there are, as the engine says it */
    pw_mcpd_offer *offers;
    size_t len;
    int64_t at_ms;
    int64_t asked_ms; /* the last time that it was asked for */
    uint64_t digest;
    const pawl_value *fixed[2][PW_MCPD_FIXED_MAX]; /* the tools that every server has, as shown[] */
    pw_mcpd_listed listed[PW_MCPD_LISTED_MAX];
} pw_mcpd_catalog;

/** Reads the reply to `tools`. all: workflows that publish nothing are tools too. False: out of memory; the
 * catalog is as before. */
bool pw_mcpd_catalog_read(pw_mcpd_catalog *c, const pawl_value *reply, bool all);
void pw_mcpd_catalog_deinit(pw_mcpd_catalog *c);
const pw_mcpd_offer *pw_mcpd_offer_find(const pw_mcpd_catalog *c, pw_mcpd_offer_kind kind,
                                        const char *name);
/** The resource, or the template that fits; *ret_vars is a map of its variables. */
const pw_mcpd_offer *pw_mcpd_offer_of_uri(const pw_mcpd_catalog *c, pawl_scope *scope,
                                          const char *uri, const pawl_value **ret_vars);

/** As they are listed. */
const pawl_value *pw_mcpd_offer_tool(pawl_scope *scope, const pw_mcpd_offer *o);
const pawl_value *pw_mcpd_offer_prompt(pawl_scope *scope, const pw_mcpd_offer *o);
const pawl_value *pw_mcpd_offer_resource(pawl_scope *scope, const pw_mcpd_offer *o);
/** All four hints: those that are said, and what follows for the others. pure: nothing outside sees it. */
const pawl_value *pw_mcpd_annotations(pawl_scope *scope, const pawl_value *said, bool pure);
/** "forbidden", "optional" (default) or "required". */
const char *pw_mcpd_offer_task(const pw_mcpd_offer *o);

#endif
