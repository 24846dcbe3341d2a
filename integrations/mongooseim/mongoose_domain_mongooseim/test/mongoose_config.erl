%% A stand-in for MongooseIM's module: see mim.
-module(mongoose_config).

-export([get_opt/1]).

-spec get_opt(atom()) -> term().
get_opt(Key) ->
    mim:option(Key).
