/*
 * fits.h - does a value fit the JSON Schema that code gave for it? Errors: INVALID says where it does not, LIMIT, NOTFOUND, NOMEM.
 */
#ifndef PW_FITS_H
#define PW_FITS_H

#include <string.h>

#include "sdk/base/schema.h"

/** The schema of JSON text, compiled; *ret_set NULL when text is NULL or "". Owns: pw_schemas_free. */
pawl_status pw_fits_text(const char *text, pw_schemas **ret_set, pawl_error *err);
/** An empty value is null. set NULL: everything fits. */
pawl_status pw_fits(pw_schemas *set, pw_view value, const char *what, pawl_error *err);
/** The same with a schema that is a value; NULL: everything fits. */
pawl_status pw_fits_value(const pawl_value *schema, pw_view value, const char *what,
                          pawl_error *err);
/** Can values be held against it? NULL: yes. */
pawl_status pw_fits_compiles(const pawl_value *schema, pawl_error *err);

#endif
