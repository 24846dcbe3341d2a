%% What a subdomain is called: patterns, and the names that they make.
%%
%%   1> Pattern = mongoose_subdomain_utils:make_subdomain_pattern(<<"muc.@HOST@">>).
%%   {prefix, <<"muc.">>}
%%   2> mongoose_subdomain_utils:get_fqdn(Pattern, <<"example.com">>).
%%   <<"muc.example.com">>
%%
%% A template that ends with `.@HOST@' gives every domain a subdomain. Any other is the whole name of one subdomain, which
%% belongs to no domain; `@HOST@' elsewhere in it has no meaning. The functions are those of MongooseIM's module of this
%% name; they call no process.
-module(mongoose_subdomain_utils).

-export([make_subdomain_pattern/1, get_fqdn/2, subdomain_type/1, is_subdomain/3]).

-export_type([subdomain_pattern/0]).

-type subdomain_pattern() :: {prefix, binary()} | {fqdn, binary()}.

-define(HOST, <<"@HOST@">>).

%% @doc The pattern of a template, as configuration gives it: a binary, a string or an atom (see mongoose_domain_text).
%% Fails with badarg for what is no text, or an empty one.
-spec make_subdomain_pattern(Template :: unicode:chardata() | atom()) -> subdomain_pattern().
make_subdomain_pattern(Template) ->
    case mongoose_domain_text:read(Template) of
        {ok, Text} -> pattern(Text);
        error -> error(badarg, [Template])
    end.

pattern(Template) ->
    Length = byte_size(Template) - byte_size(?HOST),
    case Template of
        <<Prefix:Length/binary, "@HOST@">> when Length > 0 -> prefix(Prefix, Template);
        _ -> {fqdn, Template}
    end.

prefix(Prefix, Template) ->
    case binary:last(Prefix) of
        $. -> {prefix, Prefix};
        _ -> {fqdn, Template}
    end.

%% @doc The subdomain that a domain has by this pattern.
-spec get_fqdn(subdomain_pattern(), mongoose_domain_core:domain()) -> binary().
get_fqdn({prefix, Prefix}, Domain) -> <<Prefix/binary, Domain/binary>>;
get_fqdn({fqdn, Name}, _Domain) -> Name.

%% @doc Whether the pattern makes a subdomain of each domain, or is one whole name.
-spec subdomain_type(subdomain_pattern()) -> subdomain | fqdn.
subdomain_type({prefix, _}) -> subdomain;
subdomain_type({fqdn, _}) -> fqdn.

%% @doc Whether this name is the subdomain that the domain has by this pattern.
-spec is_subdomain(subdomain_pattern(), mongoose_domain_core:domain(), Name :: binary()) -> boolean().
is_subdomain(Pattern, Domain, Name) ->
    get_fqdn(Pattern, Domain) =:= Name.
