/* A native function that takes a binary and looks at nothing: what a call of a native function costs at least. */

#include <erl_nif.h>

static ERL_NIF_TERM take(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifBinary name;
    (void)argc;
    if (!enif_inspect_binary(env, argv[0], &name))
        return enif_make_badarg(env);
    return enif_make_int(env, 1);
}

static ErlNifFunc functions[] = {{"take", 1, take, 0}};

ERL_NIF_INIT(bench_floor, functions, NULL, NULL, NULL, NULL)
