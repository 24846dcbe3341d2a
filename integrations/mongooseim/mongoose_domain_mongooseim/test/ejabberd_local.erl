%% A stand-in for MongooseIM's module: see mim.
-module(ejabberd_local).

-export([register_host/1, unregister_host/1]).

-spec register_host(binary()) -> term().
register_host(Host) ->
    mim:called(?MODULE, register_host, [Host]).

-spec unregister_host(binary()) -> term().
unregister_host(Host) ->
    mim:called(?MODULE, unregister_host, [Host]).
