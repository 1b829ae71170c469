/*
 * embed.c - a program of somebody else that opens a model. It does not have one, which it says.
 */
#include <pawl_embed.h>
#include <stdio.h>

int main(void)
{
    pawl_embedder *e = NULL;
    pawl_error err;
    const pawl_status status = pawl_embed_open("no-such-model", NULL, &e, &err);
    printf("%s\n", pawl_status_name(status));
    pawl_embed_close(e);
    return status == PAWL_NOTFOUND ? 0 : 1;
}
