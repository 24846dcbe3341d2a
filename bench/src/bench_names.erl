%% The names that every measurement uses: 19 to 44 bytes, about 28 on average, the same on every machine.
%%
%% Name number I is a department's number in front of a real name from test/data/domains-10k.txt:
%%
%%   1> bench_names:name(0, bench_names:bases()).
%%   <<"department1.000-030.com">>
%%
%% The file's names of 7 to 30 bytes are used: with "department1." (12 bytes) to "department999." (14
%% bytes) in front they have 19 to 44. There are some 9,500 of them, so a million domains are 105
%% departments of each, and the numbers after the last domain in a table are names that miss it.
%%
%% Every tenth domain has host type "type2", the others "type1".
-module(bench_names).

-export([bases/0, name/2, host_type/1, host_types/0, draw/4, write/2, mean_size/1]).

-export_type([bases/0]).

-define(FILE_OF_NAMES, "test/data/domains-10k.txt").

-opaque bases() :: tuple().

%% @doc The names behind the departments' numbers. They are read once in a VM, from the checkout, which is the working
%% directory.
-spec bases() -> bases().
bases() ->
    case persistent_term:get(?MODULE, unread) of
        unread ->
            ok = persistent_term:put(?MODULE, read()),
            bases();
        Bases ->
            Bases
    end.

read() ->
    {ok, Text} = file:read_file(?FILE_OF_NAMES),
    Names = binary:split(Text, <<"\n">>, [global]),
    list_to_tuple([binary:copy(Name) || Name <- Names, byte_size(Name) >= 7, byte_size(Name) =< 30]).

%% @doc Name number Index, from 0 on: a new binary of at most 64 bytes, which therefore lies on the
%% heap of the calling process.
-spec name(non_neg_integer(), bases()) -> binary().
name(Index, Bases) ->
    Department = integer_to_binary(Index div tuple_size(Bases) + 1),
    iolist_to_binary([<<"department">>, Department, $., element(Index rem tuple_size(Bases) + 1, Bases)]).

%% @doc The host type of domain number Index.
-spec host_type(non_neg_integer()) -> binary().
host_type(Index) when Index rem 10 =:= 9 -> <<"type2">>;
host_type(_Index) -> <<"type1">>.

%% @doc All host types.
-spec host_types() -> [binary()].
host_types() ->
    [<<"type1">>, <<"type2">>].

%% @doc Count names in random order, each one of the numbers From to From + Among - 1. The same seed
%% draws the same ones.
-spec draw(pos_integer(), non_neg_integer(), pos_integer(), integer()) -> [binary()].
draw(Count, From, Among, Seed) ->
    draw(Count, From, Among, rand:seed_s(exsss, Seed), bases(), []).

draw(0, _From, _Among, _Random, _Bases, Names) ->
    Names;
draw(Count, From, Among, Random0, Bases, Names) ->
    {Offset, Random} = rand:uniform_s(Among, Random0),
    draw(Count - 1, From, Among, Random, Bases, [name(From + Offset - 1, Bases) | Names]).

%% @doc How many bytes the first Count names have on average.
-spec mean_size(pos_integer()) -> float().
mean_size(Count) ->
    Bases = bases(),
    Size = fun(Index, Sum) -> Sum + byte_size(name(Index, Bases)) end,
    lists:foldl(Size, 0, lists:seq(0, Count - 1)) / Count.

%% @doc Writes the first Count domains and their host types as text that COPY reads.
-spec write(file:filename(), pos_integer()) -> ok.
write(File, Count) ->
    Bases = bases(),
    Rows = [[name(Index, Bases), $\t, host_type(Index), $\n] || Index <- lists:seq(0, Count - 1)],
    file:write_file(File, Rows).
