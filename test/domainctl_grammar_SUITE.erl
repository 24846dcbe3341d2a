%% MongooseIM's command line for scripts, `domainctl domain addDomain --domain … --hostType …', over GraphQL, with a
%% real node and PostgreSQL. Each outcome has its exit code, and all output goes to standard output.
-module(domainctl_grammar_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, groups/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_domain_is_added_shown_switched_and_removed/1,
         a_removal_is_requested/1,
         domains_are_listed/1,
         a_password_is_set_and_deleted/1,
         every_refusal_has_its_code_and_exit_code_one/1,
         a_name_that_cannot_be_one_is_refused/1,
         any_document_can_be_run/1,
         a_document_that_makes_no_sense_is_refused/1,
         wrong_credentials_are_an_error_of_graphql/1]).
-export([lines_that_make_no_sense_have_the_peers_words/1,
         help_is_shown_for_categories_and_commands/1,
         without_a_server_the_exit_code_is_three/1]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [{group, words}, {group, documents}].

%% The cases of `documents' need a GraphQL door.
groups() ->
    [{words, [], [lines_that_make_no_sense_have_the_peers_words, help_is_shown_for_categories_and_commands,
                  without_a_server_the_exit_code_is_three]},
     {documents, [], [a_domain_is_added_shown_switched_and_removed, a_removal_is_requested, domains_are_listed,
                      a_password_is_set_and_deleted, every_refusal_has_its_code_and_exit_code_one,
                      a_name_that_cannot_be_one_is_refused, any_document_can_be_run,
                      a_document_that_makes_no_sense_is_refused, wrong_credentials_are_an_error_of_graphql]}].

init_per_testcase(Case, Config) ->
    case lists:member(Case, element(3, lists:keyfind(documents, 1, groups()))) of
        false -> Config;
        true -> with_node(Config)
    end.

with_node(Config) ->
    Opened = md_door:open(Config),
    [{admin, md_command:admin(?config(door, Opened))} | Opened].

end_per_testcase(_Case, Config) ->
    case ?config(database, Config) of
        undefined -> ok;
        Database -> md_database:drop(Database)
    end.

a_domain_is_added_shown_switched_and_removed(Config) ->
    Pair = ["--domain", "A.example", "--hostType", "type1"],
    answers(Config, ["addDomain" | Pair], ["{\"domain\": \"a.example\", \"hostType\": \"type1\", \"status\": null}"]),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), <<"a.example">>)),
    answers(Config, ["disableDomain", "--domain", "a.example"],
            ["{\"domain\": \"a.example\", \"hostType\": null, \"status\": \"DISABLED\"}"]),
    answers(Config, ["enableDomain", "--domain", "a.example"],
            ["{\"domain\": \"a.example\", \"hostType\": null, \"status\": \"ENABLED\"}"]),
    answers(Config, ["domainDetails", "--domain", "a.example"],
            ["{\"domain\": \"a.example\", \"hostType\": \"type1\", \"status\": \"ENABLED\", \"type\": \"DYNAMIC\"}"]),
    answers(Config, ["removeDomain" | Pair],
            ["{\"domain\": \"a.example\", \"hostType\": \"type1\", \"status\": \"DELETED\"}"]).

a_removal_is_requested(Config) ->
    Pair = ["--hostType", "type1", "--domain", "a.example"],
    answers(Config, ["addDomain" | Pair], ["{\"domain\": \"a.example\", \"hostType\": \"type1\", \"status\": null}"]),
    answers(Config, ["requestRemoveDomain" | Pair],
            ["{\"domain\": \"a.example\", \"hostType\": \"type1\", \"status\": \"DELETING\"}"]).

domains_are_listed(Config) ->
    Shown = "{\"domain\": \"~s\", \"hostType\": \"~s\", \"status\": \"ENABLED\", \"type\": \"~s\"}",
    Static = io_lib:format(Shown, ["static.example", "static type", "STATIC"]),
    Dynamic = io_lib:format(Shown, ["a.example", "type1", "DYNAMIC"]),
    answers(Config, ["allDomains"], ["[", Static, "]"]),
    answers(Config, ["addDomain", "--domain", "a.example", "--hostType", "type1"],
            ["{\"domain\": \"a.example\", \"hostType\": \"type1\", \"status\": null}"]),
    answers(Config, ["allDomains"], ["[", Dynamic, ", ", Static, "]"]),
    answers(Config, ["domainsByHostType", "--hostType", "type1"], ["[\"a.example\"]"]),
    answers(Config, ["domains", "--limit", "10", "--hostType", "type1", "--status", "ENABLED", "--prefix", "a."],
            ["[", Dynamic, "]"]),
    answers(Config, ["domains", "--after", "a.example", "--hostType", "type1"], ["[]"]).

a_password_is_set_and_deleted(Config) ->
    answers(Config, ["setDomainPassword", "--domain", "static.example", "--password", "secret"],
            ["\"Domain password set successfully\""]),
    answers(Config, ["deleteDomainPassword", "--domain", "static.example"],
            ["\"Domain password deleted successfully\""]).

every_refusal_has_its_code_and_exit_code_one(Config) ->
    Pair = fun(Domain, HostType) -> ["--domain", Domain, "--hostType", HostType] end,
    answers(Config, ["addDomain" | Pair("a.example", "type1")],
            ["{\"domain\": \"a.example\", \"hostType\": \"type1\", \"status\": null}"]),
    [refused(Config, Args, Code)
     || {Code, Args} <- [{"static", ["addDomain" | Pair("static.example", "type1")]},
                         {"unknown_host_type", ["addDomain" | Pair("b.example", "type9")]},
                         {"unknown_host_type", ["addDomain" | Pair("b.example", "")]},
                         {"duplicate", ["addDomain" | Pair("a.example", "type2")]},
                         {"wrong_host_type", ["removeDomain" | Pair("a.example", "type2")]},
                         {"not_found", ["enableDomain", "--domain", "b.example"]},
                         {"static", ["disableDomain", "--domain", "static.example"]},
                         {"not_found", ["domainDetails", "--domain", "b.example"]},
                         {"not_found", ["setDomainPassword", "--domain", "b.example", "--password", "x"]},
                         {"not_found", ["deleteDomainPassword", "--domain", "b.example"]},
                         {"unknown_host_type", ["domainsByHostType", "--hostType", "type9"]}]].

a_name_that_cannot_be_one_is_refused(Config) ->
    [refused(Config, ["enableDomain", "--domain", Name], "input_coercion")
     || Name <- ["", binary:copy(<<"a">>, 1024), [16#202e]]].

any_document_can_be_run(Config) ->
    #{exit := 0, out := Out} = run(Config, ["graphql", "{ checkAuth { authStatus authType } }"]),
    Wanted = "{\"data\": {\"checkAuth\": {\"authStatus\": \"AUTHORIZED\", \"authType\": \"ADMIN\"}}}",
    ?assertEqual(squeezed(Wanted), squeezed(Out)),
    ?assertMatch({_, _}, binary:match(Out, <<"\n  \"data\": {\n    \"checkAuth\"">>)).

a_document_that_makes_no_sense_is_refused(Config) ->
    [begin
         #{exit := 1, out := Out, err := <<>>} = run(Config, ["graphql", Document]),
         ?assertMatch({_, _}, binary:match(Out, <<"\"errors\"">>))
     end || Document <- ["", "{", "{ nothing }", "query { domain { enableDomain(domain: \"a\") { domain } } }"]].

wrong_credentials_are_an_error_of_graphql(Config) ->
    Wrong = lists:keystore("DOMAINCTL_PASSWORD", 1, ?config(admin, Config), {"DOMAINCTL_PASSWORD", "wrong"}),
    #{exit := 1, out := Out} = md_command:run(["domain", "allDomains"], Wrong),
    ?assertMatch({_, _}, binary:match(Out, <<"wrong_credentials">>)).

lines_that_make_no_sense_have_the_peers_words(_Config) ->
    General = "Usage: domainctl [category] command [arguments]\n",
    Category = "Usage: domainctl domain command arguments\n",
    Command = "Usage: domainctl domain addDomain arguments\n",
    [begin
         Result = md_command:run(Args, []),
         ?assertMatch(#{exit := Exit, err := <<>>}, Result),
         ?assertEqual(iolist_to_binary(Begins), binary:part(maps:get(out, Result), 0, iolist_size(Begins)))
     end || {Exit, Begins, Args} <-
            [{2, General, []},
             {2, ["Unknown category\n\n", General], ["domains"]},
             {1, ["Unknown command 'adddomain'\n\n", Category], ["domain", "adddomain", "--domain", "a"]},
             {1, ["Unknown command '--help'\n\n", Category], ["domain", "--help"]},
             {1, ["Unknown argument 'x' for command 'addDomain'\n\n", Command],
              ["domain", "addDomain", "--x", "y", "z"]},
             {1, ["Could not parse the command arguments\n\n", Command], ["domain", "addDomain", "--domain"]},
             {1, ["Could not parse the command arguments\n\n", Command],
              ["domain", "addDomain", "a.example", "type1"]},
             {1, ["Missing mandatory arguments for command 'addDomain': 'domain', 'hostType'\n\n", Command],
              ["domain", "addDomain"]},
             {1, "Invalid value 'x' of argument 'limit' for command 'domains'\n\n",
              ["domain", "domains", "--limit", "x"]},
             {1, "This command requires", ["graphql"]}]].

help_is_shown_for_categories_and_commands(_Config) ->
    #{exit := 0, out := Category, err := <<>>} = md_command:run(["domain"], []),
    Commands = [<<"addDomain">>, <<"allDomains">>, <<"deleteDomainPassword">>, <<"disableDomain">>, <<"domainDetails">>,
                <<"domains">>, <<"domainsByHostType">>, <<"enableDomain">>, <<"removeDomain">>,
                <<"requestRemoveDomain">>, <<"setDomainPassword">>],
    {match, Listed} = re:run(Category, "^  (\\w+)  ", [global, multiline, {capture, [1], binary}]),
    ?assertEqual(Commands, lists:append(Listed)),
    #{exit := 0, out := Command, err := <<>>} = md_command:run(["domain", "addDomain", "--help"], []),
    [?assertMatch({match, _}, re:run(Command, Line)) || Line <- ["domain\\s+DomainName!", "hostType\\s+String!"]],
    ?assertEqual(nomatch, binary:match(Command, <<"\e">>)).

without_a_server_the_exit_code_is_three(_Config) ->
    Nobody = [{"DOMAINCTL_URL", "http://127.0.0.1:1"}],
    [begin
         #{exit := 3, out := Out, err := <<>>} = md_command:run(Args, Nobody),
         ?assertMatch(<<"Failed RPC connection to the node http://127.0.0.1:1: ", _/binary>>, Out)
     end || Args <- [["domain", "allDomains"], ["graphql", "{ checkAuth { domain } }"]]].

run(Config, Args) ->
    md_command:run(Args, ?config(admin, Config)).

%% Compares the whole answer and ignores white space.
answers(Config, [Command | _] = Args, Value) ->
    #{exit := 0, out := Out, err := <<>>} = run(Config, ["domain" | Args]),
    ?assertEqual(squeezed(["{\"data\": {\"domain\": {\"", Command, "\": ", Value, "}}}"]), squeezed(Out)).

squeezed(Text) ->
    re:replace(Text, "\\s+", "", [global, {return, binary}]).

refused(Config, Args, Code) ->
    #{exit := 1, out := Out, err := <<>>} = run(Config, ["domain" | Args]),
    ?assertMatch({_, _}, binary:match(Out, iolist_to_binary(["\"code\": \"", Code, "\""]))).
