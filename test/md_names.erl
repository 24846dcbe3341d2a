%% Real domain names for tests, from test/data, whose README names their sources.
-module(md_names).

-export([all/0, some/1, refused/0, numbered/2]).

%% @doc Every name of the data files after nameprep, sorted and without duplicates. The names of refused/0 are left out.
-spec all() -> [binary()].
all() ->
    lists:usort([Name || {ok, Name} <- [mongoose_domain_core:nameprep(Line) || Line <- lines()]]).

%% @doc The names of the data files that nameprep refuses.
-spec refused() -> [binary()].
refused() ->
    [Line || Line <- lines(), mongoose_domain_core:nameprep(Line) =:= {error, invalid_domain}].

lines() ->
    lists:append([lines(File) || File <- ["domains-10k.txt", "idn-names.txt"]]).

%% @doc The first Count names of all/0.
-spec some(pos_integer()) -> [binary()].
some(Count) ->
    lists:sublist(all(), Count).

%% @doc Made-up names: this prefix with each number from 1 to Count.
-spec numbered(binary(), pos_integer()) -> [binary()].
numbered(Prefix, Count) ->
    [<<Prefix/binary, (integer_to_binary(N))/binary, ".example">> || N <- lists:seq(1, Count)].

lines(Name) ->
    {ok, Text} = file:read_file(filename:join(directory(), Name)),
    Lines = [string:trim(Line) || Line <- binary:split(Text, <<"\n">>, [global])],
    [Line || Line <- Lines, Line =/= <<>>, binary:first(Line) =/= $#].

%% rebar3 copies the test directory beside the modules; it always lies beside their sources.
directory() ->
    Source = proplists:get_value(source, ?MODULE:module_info(compile)),
    Places = [filename:join(filename:dirname(Path), "data") || Path <- [code:which(?MODULE), Source]],
    hd([Place || Place <- Places, filelib:is_dir(Place)]).
