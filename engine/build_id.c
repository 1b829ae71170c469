/*
 * build_id.c - a digest of the code that runs: the ELF build ids of the program and of the object this file is in (libpawl when shared), and of
 * each module that holds a workflow.
 *
 * Evidence, not identity: a run is bound to code by name and version; the digest tells whether a difference in replay was made by another
 * build. An object without a build id counts by its name: link modules with one (the compilers' default).
 */
#include <elf.h>
#include <link.h>
#include <string.h>

#include "engine/host.h"
#include "sdk/base/hash.h"

struct search {
    uint64_t digest;
    size_t objects;
};

static bool holds(const struct dl_phdr_info *info, const void *address)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        ElfW(Addr) begin = info->dlpi_addr + ph->p_vaddr;
        if (ph->p_type == PT_LOAD && (ElfW(Addr))address >= begin &&
            (ElfW(Addr))address - begin < ph->p_memsz) {
            return true;
        }
    }
    return false;
}

/** The build id note in one PT_NOTE segment; an empty view when it is not there. */
static pw_view id_in_notes(const uint8_t *p, size_t size)
{
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, p, sizeof note);
        size_t name_size = (note.n_namesz + 3u) & ~(size_t)3;
        size_t id_size = (note.n_descsz + 3u) & ~(size_t)3;
        if (name_size + id_size > size - sizeof note) {
            break;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(p + sizeof note, "GNU", 4) == 0) {
            return (pw_view){p + sizeof note + name_size, note.n_descsz};
        }
        p += sizeof note + name_size + id_size;
        size -= sizeof note + name_size + id_size;
    }
    return (pw_view){NULL, 0};
}

static uint64_t object_digest(const struct dl_phdr_info *info)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_NOTE) {
            continue;
        }
        pw_view id = id_in_notes((const uint8_t *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz);
        if (id.size > 0) {
            return pw_checksum(id.data, id.size);
        }
    }
    return pw_checksum(info->dlpi_name, strlen(info->dlpi_name));
}

static int look(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct search *s = ctx;
    bool program = s->objects++ == 0; /* the program is always the first */

    (void)size;
    if (program || holds(info, (const void *)(uintptr_t)&pw_build_digest)) {
        uint64_t pair[2] = {s->digest, object_digest(info)};
        s->digest = pw_checksum(pair, sizeof pair);
    }
    return 0;
}

uint64_t pw_build_digest(void)
{
    struct search s = {0, 0};

    dl_iterate_phdr(look, &s);
    return s.digest;
}

struct find {
    const void *code;
    uint64_t digest;
    size_t objects;
    bool own; /* the program, or libpawl */
    bool found;
};

static int look_for(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct find *f = ctx;
    bool program = f->objects++ == 0;

    (void)size;
    if (!holds(info, f->code)) {
        return 0;
    }
    f->found = true;
    f->own = program || holds(info, (const void *)(uintptr_t)&pw_build_digest);
    f->digest = object_digest(info);
    return 1;
}

uint64_t pw_build_digest_of(const void *code)
{
    struct find f = {.code = code};

    dl_iterate_phdr(look_for, &f);
    return f.found && !f.own ? f.digest : pw_build_digest();
}
