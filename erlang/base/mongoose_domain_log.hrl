%% The logger's macros, for reports of this application: see mongoose_domain_log. A report is a map with `what', which
%% docs/events.md lists.

-define(LOG_CRITICAL(Report), ?LOG(critical, Report)).
-define(LOG_ERROR(Report), ?LOG(error, Report)).
-define(LOG_WARNING(Report), ?LOG(warning, Report)).
-define(LOG_NOTICE(Report), ?LOG(notice, Report)).
-define(LOG_INFO(Report), ?LOG(info, Report)).

-define(LOG(Level, Report),
        case logger:allow(Level, ?MODULE) of
            true ->
                mongoose_domain_log:report(Level, Report, #{mfa => {?MODULE, ?FUNCTION_NAME, ?FUNCTION_ARITY},
                                                            file => ?FILE, line => ?LINE});
            false ->
                ok
        end).
