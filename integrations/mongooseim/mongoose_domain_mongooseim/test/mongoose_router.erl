%% A stand-in for MongooseIM's module: see mim.
-module(mongoose_router).

-export([register_route/2, unregister_route/1]).

-spec register_route(binary(), term()) -> term().
register_route(Host, PacketHandler) ->
    mim:called(?MODULE, register_route, [Host, PacketHandler]).

-spec unregister_route(binary()) -> term().
unregister_route(Host) ->
    mim:called(?MODULE, unregister_route, [Host]).
