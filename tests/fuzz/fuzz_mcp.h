/*
 * fuzz_mcp.h - an MCP server without an engine, for fuzz targets: what it asks of the engine is answered from bytes of the input.
 */
#ifndef TEST_FUZZ_MCP_H
#define TEST_FUZZ_MCP_H

#include <uv.h>

#include "tools/mcp/inside.h"

/** A server on a loop of its own, which knows a catalog. The same for every input. */
typedef struct fuzz_mcp {
    uv_loop_t loop;
    pw_mcpd *server;
} fuzz_mcp;

/** choices: which answers the engine gives, a byte each; then it gives the first of each kind. */
void fuzz_mcp_open(fuzz_mcp *f, const uint8_t *choices, size_t size);
void fuzz_mcp_close(fuzz_mcp *f);
/** Answers what was asked, and what is asked because of that, as far as it goes. */
void fuzz_mcp_answer(void);
/** What is published. */
const pawl_value *fuzz_mcp_catalog(pawl_scope *scope);

#endif
