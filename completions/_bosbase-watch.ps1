
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'bosbase-watch' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'bosbase-watch'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'bosbase-watch' {
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'The server [default: the profile''s, else http://127.0.0.1:8090]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection may take to stand')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Let passwords and tokens go over plain http to another machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('login', 'login', [CompletionResultType]::ParameterValue, 'Sign in, and keep the token')
            [CompletionResult]::new('logout', 'logout', [CompletionResultType]::ParameterValue, 'Forget the token')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show the server, the login, and whether both are good')
            [CompletionResult]::new('subscribe', 'subscribe', [CompletionResultType]::ParameterValue, 'Watch topics and print events')
            [CompletionResult]::new('watch', 'watch', [CompletionResultType]::ParameterValue, 'Watch topics and print events')
            [CompletionResult]::new('topics', 'topics', [CompletionResultType]::ParameterValue, 'List the collections, or check topics and say why one would stay silent')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completions for a shell')
            break
        }
        'bosbase-watch;login' {
            [CompletionResult]::new('--collection', '--collection', [CompletionResultType]::ParameterName, 'The auth collection of the account [default: the profile''s, else users]')
            [CompletionResult]::new('--identity', '--identity', [CompletionResultType]::ParameterName, 'The e-mail or user name [asked for]')
            [CompletionResult]::new('--otp', '--otp', [CompletionResultType]::ParameterName, 'Sign in with a one-time code that is sent to this address')
            [CompletionResult]::new('--oauth2', '--oauth2', [CompletionResultType]::ParameterName, 'Sign in with an account of this provider, in a browser')
            [CompletionResult]::new('--redirect-port', '--redirect-port', [CompletionResultType]::ParameterName, 'Have the provider answer to http://127.0.0.1:PORT/oauth2-redirect, which must be registered there, and not through the server: for a browser on another machine; 0 is any port')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'The server [default: the profile''s, else http://127.0.0.1:8090]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection may take to stand')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours')
            [CompletionResult]::new('--superuser', '--superuser', [CompletionResultType]::ParameterName, 'Sign in as a superuser')
            [CompletionResult]::new('--password-stdin', '--password-stdin', [CompletionResultType]::ParameterName, 'Read the password from a line of stdin [asked for]')
            [CompletionResult]::new('--code-stdin', '--code-stdin', [CompletionResultType]::ParameterName, 'Read the one-time code from a line of stdin [asked for]')
            [CompletionResult]::new('--no-browser', '--no-browser', [CompletionResultType]::ParameterName, 'Open no browser; the page to open is printed in any case')
            [CompletionResult]::new('--token-stdin', '--token-stdin', [CompletionResultType]::ParameterName, 'Keep the token of the first line of stdin, issued elsewhere')
            [CompletionResult]::new('--custom-token-stdin', '--custom-token-stdin', [CompletionResultType]::ParameterName, 'Sign in with a token bound to the account before, from a line of stdin (BosBase)')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Let passwords and tokens go over plain http to another machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'bosbase-watch;logout' {
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'The server [default: the profile''s, else http://127.0.0.1:8090]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection may take to stand')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Let passwords and tokens go over plain http to another machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'bosbase-watch;status' {
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'The server [default: the profile''s, else http://127.0.0.1:8090]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection may take to stand')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'As one JSON object')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Ask the server nothing')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Let passwords and tokens go over plain http to another machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'bosbase-watch;subscribe' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Only records that match, for each collection topic without a filter of its own')
            [CompletionResult]::new('--filter', '--filter', [CompletionResultType]::ParameterName, 'Only records that match, for each collection topic without a filter of its own')
            [CompletionResult]::new('--param', '--param', [CompletionResultType]::ParameterName, 'Bind the value V to {:K} in the filters; K:=V for a number, true, false or null')
            [CompletionResult]::new('--expand', '--expand', [CompletionResultType]::ParameterName, 'Relations to resolve, separated by commas')
            [CompletionResult]::new('--fields', '--fields', [CompletionResultType]::ParameterName, 'Only these fields, separated by commas')
            [CompletionResult]::new('--query', '--query', [CompletionResultType]::ParameterName, 'A query parameter, for rules that read @request.query')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'A header, for rules that read @request.headers')
            [CompletionResult]::new('--header', '--header', [CompletionResultType]::ParameterName, 'A header, for rules that read @request.headers')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Only these actions: create, update, delete')
            [CompletionResult]::new('--action', '--action', [CompletionResultType]::ParameterName, 'Only these actions: create, update, delete')
            [CompletionResult]::new('--jq', '--jq', [CompletionResultType]::ParameterName, 'Print what this jq expression yields for each event; yielding nothing drops it')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Stop with 0 after N printed records and messages')
            [CompletionResult]::new('--count', '--count', [CompletionResultType]::ParameterName, 'Stop with 0 after N printed records and messages')
            [CompletionResult]::new('--duration', '--duration', [CompletionResultType]::ParameterName, 'Stop with 0 so long after it is live')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Stop with 124 so long after the start')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Stop with 124 when nothing came for so long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print events; auto: pretty on a terminal, ndjson otherwise')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print events; auto: pretty on a terminal, ndjson otherwise')
            [CompletionResult]::new('--lifecycle', '--lifecycle', [CompletionResultType]::ParameterName, 'Where to say what happens to the connection')
            [CompletionResult]::new('--exec', '--exec', [CompletionResultType]::ParameterName, 'Run CMD for each event, which it reads on stdin; up to an argument '';'', or the end of the line')
            [CompletionResult]::new('--exec-jobs', '--exec-jobs', [CompletionResultType]::ParameterName, 'How many commands may run at a time; 1 keeps the order')
            [CompletionResult]::new('--exec-fail', '--exec-fail', [CompletionResultType]::ParameterName, 'After a command that failed: warn and go on, or stop with 125')
            [CompletionResult]::new('--control', '--control', [CompletionResultType]::ParameterName, 'Read ''subscribe TOPIC'', ''unsubscribe [TOPIC]'', ''unsubscribe-prefix PREFIX'' lines while running; - is stdin')
            [CompletionResult]::new('--catch-up', '--catch-up', [CompletionResultType]::ParameterName, 'After a gap, read again what changed and print it as replayed')
            [CompletionResult]::new('--max-retries', '--max-retries', [CompletionResultType]::ParameterName, 'Attempts to connect after the first one; once live it is tried for ever')
            [CompletionResult]::new('--max-backoff', '--max-backoff', [CompletionResultType]::ParameterName, 'The longest time between two attempts')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'The server [default: the profile''s, else http://127.0.0.1:8090]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection may take to stand')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'With --jq: print strings bare, without quotes')
            [CompletionResult]::new('--raw-strings', '--raw-strings', [CompletionResultType]::ParameterName, 'With --jq: print strings bare, without quotes')
            [CompletionResult]::new('--guest', '--guest', [CompletionResultType]::ParameterName, 'Watch as a guest, without the saved login')
            [CompletionResult]::new('--no-diff', '--no-diff', [CompletionResultType]::ParameterName, 'Show whole records on an update, not what changed')
            [CompletionResult]::new('--fail-on-gap', '--fail-on-gap', [CompletionResultType]::ParameterName, 'End with 7 as soon as a gap is known that was not filled')
            [CompletionResult]::new('--no-reconnect', '--no-reconnect', [CompletionResultType]::ParameterName, 'End with 6 when the connection is lost')
            [CompletionResult]::new('--no-check', '--no-check', [CompletionResultType]::ParameterName, 'Skip the check of the topics before the watch')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Let passwords and tokens go over plain http to another machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'bosbase-watch;watch' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Only records that match, for each collection topic without a filter of its own')
            [CompletionResult]::new('--filter', '--filter', [CompletionResultType]::ParameterName, 'Only records that match, for each collection topic without a filter of its own')
            [CompletionResult]::new('--param', '--param', [CompletionResultType]::ParameterName, 'Bind the value V to {:K} in the filters; K:=V for a number, true, false or null')
            [CompletionResult]::new('--expand', '--expand', [CompletionResultType]::ParameterName, 'Relations to resolve, separated by commas')
            [CompletionResult]::new('--fields', '--fields', [CompletionResultType]::ParameterName, 'Only these fields, separated by commas')
            [CompletionResult]::new('--query', '--query', [CompletionResultType]::ParameterName, 'A query parameter, for rules that read @request.query')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'A header, for rules that read @request.headers')
            [CompletionResult]::new('--header', '--header', [CompletionResultType]::ParameterName, 'A header, for rules that read @request.headers')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'Only these actions: create, update, delete')
            [CompletionResult]::new('--action', '--action', [CompletionResultType]::ParameterName, 'Only these actions: create, update, delete')
            [CompletionResult]::new('--jq', '--jq', [CompletionResultType]::ParameterName, 'Print what this jq expression yields for each event; yielding nothing drops it')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Stop with 0 after N printed records and messages')
            [CompletionResult]::new('--count', '--count', [CompletionResultType]::ParameterName, 'Stop with 0 after N printed records and messages')
            [CompletionResult]::new('--duration', '--duration', [CompletionResultType]::ParameterName, 'Stop with 0 so long after it is live')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Stop with 124 so long after the start')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Stop with 124 when nothing came for so long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to print events; auto: pretty on a terminal, ndjson otherwise')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to print events; auto: pretty on a terminal, ndjson otherwise')
            [CompletionResult]::new('--lifecycle', '--lifecycle', [CompletionResultType]::ParameterName, 'Where to say what happens to the connection')
            [CompletionResult]::new('--exec', '--exec', [CompletionResultType]::ParameterName, 'Run CMD for each event, which it reads on stdin; up to an argument '';'', or the end of the line')
            [CompletionResult]::new('--exec-jobs', '--exec-jobs', [CompletionResultType]::ParameterName, 'How many commands may run at a time; 1 keeps the order')
            [CompletionResult]::new('--exec-fail', '--exec-fail', [CompletionResultType]::ParameterName, 'After a command that failed: warn and go on, or stop with 125')
            [CompletionResult]::new('--control', '--control', [CompletionResultType]::ParameterName, 'Read ''subscribe TOPIC'', ''unsubscribe [TOPIC]'', ''unsubscribe-prefix PREFIX'' lines while running; - is stdin')
            [CompletionResult]::new('--catch-up', '--catch-up', [CompletionResultType]::ParameterName, 'After a gap, read again what changed and print it as replayed')
            [CompletionResult]::new('--max-retries', '--max-retries', [CompletionResultType]::ParameterName, 'Attempts to connect after the first one; once live it is tried for ever')
            [CompletionResult]::new('--max-backoff', '--max-backoff', [CompletionResultType]::ParameterName, 'The longest time between two attempts')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'The server [default: the profile''s, else http://127.0.0.1:8090]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection may take to stand')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'With --jq: print strings bare, without quotes')
            [CompletionResult]::new('--raw-strings', '--raw-strings', [CompletionResultType]::ParameterName, 'With --jq: print strings bare, without quotes')
            [CompletionResult]::new('--guest', '--guest', [CompletionResultType]::ParameterName, 'Watch as a guest, without the saved login')
            [CompletionResult]::new('--no-diff', '--no-diff', [CompletionResultType]::ParameterName, 'Show whole records on an update, not what changed')
            [CompletionResult]::new('--fail-on-gap', '--fail-on-gap', [CompletionResultType]::ParameterName, 'End with 7 as soon as a gap is known that was not filled')
            [CompletionResult]::new('--no-reconnect', '--no-reconnect', [CompletionResultType]::ParameterName, 'End with 6 when the connection is lost')
            [CompletionResult]::new('--no-check', '--no-check', [CompletionResultType]::ParameterName, 'Skip the check of the topics before the watch')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Let passwords and tokens go over plain http to another machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'bosbase-watch;topics' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Only records that match, for each collection topic without a filter of its own')
            [CompletionResult]::new('--filter', '--filter', [CompletionResultType]::ParameterName, 'Only records that match, for each collection topic without a filter of its own')
            [CompletionResult]::new('--param', '--param', [CompletionResultType]::ParameterName, 'Bind the value V to {:K} in the filters; K:=V for a number, true, false or null')
            [CompletionResult]::new('--expand', '--expand', [CompletionResultType]::ParameterName, 'Relations to resolve, separated by commas')
            [CompletionResult]::new('--fields', '--fields', [CompletionResultType]::ParameterName, 'Only these fields, separated by commas')
            [CompletionResult]::new('--query', '--query', [CompletionResultType]::ParameterName, 'A query parameter, for rules that read @request.query')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'A header, for rules that read @request.headers')
            [CompletionResult]::new('--header', '--header', [CompletionResultType]::ParameterName, 'A header, for rules that read @request.headers')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'The server [default: the profile''s, else http://127.0.0.1:8090]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection may take to stand')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours')
            [CompletionResult]::new('--guest', '--guest', [CompletionResultType]::ParameterName, 'Ask as a guest, without the saved login')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'As one JSON array')
            [CompletionResult]::new('--count', '--count', [CompletionResultType]::ParameterName, 'Count the records of each collection, too')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Let passwords and tokens go over plain http to another machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'bosbase-watch;completions' {
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'The server [default: the profile''s, else http://127.0.0.1:8090]')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--profile', '--profile', [CompletionResultType]::ParameterName, 'The saved login to use [default: the last one signed in with]')
            [CompletionResult]::new('--connect-timeout', '--connect-timeout', [CompletionResultType]::ParameterName, 'How long a connection may take to stand')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours')
            [CompletionResult]::new('--allow-http', '--allow-http', [CompletionResultType]::ParameterName, 'Let passwords and tokens go over plain http to another machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Show each request; twice: the stream too')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
