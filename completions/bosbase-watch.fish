# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bosbase_watch_global_optspecs
    string join \n url= p/profile= config= allow-http connect-timeout= http-header= proxy= ca-cert= client-cert= k/insecure color= q/quiet v/verbose h/help V/version
end

function __fish_bosbase_watch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bosbase_watch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bosbase_watch_using_subcommand
    set -l cmd (__fish_bosbase_watch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -s V -l version -d 'Print version'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "login" -d 'Sign in, and keep the token'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "logout" -d 'Forget the token'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "status" -d 'Show the server, the login, and whether both are good'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "profile" -d 'More than one server or account'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "subscribe" -d 'Watch topics and print events'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "watch" -d 'Watch topics and print events'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "wait" -d 'Block until an event matches; the exit code is the answer'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "topics" -d 'List the collections, or check topics and say why one would stay silent'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "completions" -d 'Print the completions for a shell'
complete -c bosbase-watch -n "__fish_bosbase_watch_needs_command" -f -a "schema" -d 'Print the JSON Schema of the lines of -o ndjson'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l collection -d 'The auth collection of the account [default: users]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l identity -d 'The e-mail or user name [asked for]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l otp -d 'Sign in with a one-time code that is sent to this address' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l oauth2 -d 'Sign in with an account of this provider, in a browser' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l redirect-port -d 'Have the provider answer to http://127.0.0.1:PORT/oauth2-redirect, which must be registered there, and not through the server: for a browser on another machine; 0 is any port' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l superuser -d 'Sign in as a superuser'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l password-stdin -d 'Read the password from a line of stdin [asked for]'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l code-stdin -d 'Read the one-time code from a line of stdin [asked for]'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l no-browser -d 'Open no browser; the page to open is printed in any case'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l token-stdin -d 'Keep the token of the first line of stdin, issued elsewhere'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l custom-token-stdin -d 'Sign in with a token bound to the account before, from a line of stdin (BosBase)'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l all -d 'Of every profile'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand logout" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l json -d 'As one JSON object'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l offline -d 'Ask the server nothing'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l all -d 'Of every profile, each with its own server and saved login'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -f -a "list" -d 'Show them all'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -f -a "use" -d 'Make one the current one, which is used where none is named'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and not __fish_seen_subcommand_from list use remove" -f -a "remove" -d 'Remove one, and its login'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l json -d 'As one JSON array'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from use" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand profile; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s f -l filter -d 'Only records that match' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l param -d 'Bind V to {:K} in the filters; K:=V for a number, true, false or null' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l expand -d 'Relations to resolve, separated by commas' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l fields -d 'Only these fields, separated by commas' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l query -d 'A query parameter, for rules that read @request.query' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s H -l header -d 'A header, for rules that read @request.headers' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s a -l action -d 'Only these actions: create, update, delete' -r -f -a "create\t''
update\t''
delete\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l jq -d 'Print what this jq expression yields for each event' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l since -d 'First what changed since then: 2026-03-01, 12:00, 90m, 2d' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s n -l count -d 'Stop with 0 after N printed records and messages' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l duration -d 'Stop with 0 so long after it is live' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l timeout -d 'Stop with 124 so long after the start' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l idle-timeout -d 'Stop with 124 when nothing came for so long' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s o -l output -d 'How to print events: auto, pretty, ndjson, raw' -r -f -a "auto\t''
pretty\t''
ndjson\t''
raw\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l format -d 'Print each event as this text, such as \'{action} {record.title}\'' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l time -d 'The time in pretty lines and --format: of this place, UTC, since the event before, or none' -r -f -a "local\t''
utc\t''
delta\t''
none\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l lifecycle -d 'What happens to the connection: on stderr, stdout, none' -r -f -a "stderr\t''
stdout\t''
none\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l exec -d 'Run CMD for each event, which it reads on stdin; up to \';\'' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l exec-jobs -d 'How many commands may run at a time; 1 keeps the order' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l exec-fail -d 'After a command that failed: warn and go on, or stop with 125' -r -f -a "warn\t''
stop\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l control -d 'Read \'subscribe TOPIC\', \'unsubscribe [TOPIC]\', \'unsubscribe-prefix PREFIX\' lines while running; - is stdin' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l catch-up -d 'After a gap, read again what changed and print it as replayed' -r -f -a "auto\t''
off\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l poll -d 'Besides the feed, list what changed every so often: for clusters, whose nodes tell only of their own writes' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l cursor -d 'Remember in FILE how far it got, and go on there at the next start' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l max-retries -d 'Attempts to connect after the first one; once live it is tried for ever' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l max-backoff -d 'The longest time between two attempts' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s r -l raw-strings -d 'With --jq: print strings bare, without quotes'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l initial -d 'First the records that exist now, then the live feed'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l guest -d 'Watch as a guest, without the saved login'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s 0 -l null -d 'What stands behind each event: NUL instead of a newline'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l no-diff -d 'Show whole records on an update, not what changed'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l fail-on-gap -d 'End with 7 as soon as a gap is known that was not filled'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l no-reconnect -d 'End with 6 when the connection is lost'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l no-check -d 'Skip the check of the topics before the watch'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand subscribe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s f -l filter -d 'Only records that match' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l param -d 'Bind V to {:K} in the filters; K:=V for a number, true, false or null' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l expand -d 'Relations to resolve, separated by commas' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l fields -d 'Only these fields, separated by commas' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l query -d 'A query parameter, for rules that read @request.query' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s H -l header -d 'A header, for rules that read @request.headers' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s a -l action -d 'Only these actions: create, update, delete' -r -f -a "create\t''
update\t''
delete\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l jq -d 'Print what this jq expression yields for each event' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l since -d 'First what changed since then: 2026-03-01, 12:00, 90m, 2d' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s n -l count -d 'Stop with 0 after N printed records and messages' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l duration -d 'Stop with 0 so long after it is live' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l timeout -d 'Stop with 124 so long after the start' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l idle-timeout -d 'Stop with 124 when nothing came for so long' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s o -l output -d 'How to print events: auto, pretty, ndjson, raw' -r -f -a "auto\t''
pretty\t''
ndjson\t''
raw\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l format -d 'Print each event as this text, such as \'{action} {record.title}\'' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l time -d 'The time in pretty lines and --format: of this place, UTC, since the event before, or none' -r -f -a "local\t''
utc\t''
delta\t''
none\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l lifecycle -d 'What happens to the connection: on stderr, stdout, none' -r -f -a "stderr\t''
stdout\t''
none\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l exec -d 'Run CMD for each event, which it reads on stdin; up to \';\'' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l exec-jobs -d 'How many commands may run at a time; 1 keeps the order' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l exec-fail -d 'After a command that failed: warn and go on, or stop with 125' -r -f -a "warn\t''
stop\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l control -d 'Read \'subscribe TOPIC\', \'unsubscribe [TOPIC]\', \'unsubscribe-prefix PREFIX\' lines while running; - is stdin' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l catch-up -d 'After a gap, read again what changed and print it as replayed' -r -f -a "auto\t''
off\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l poll -d 'Besides the feed, list what changed every so often: for clusters, whose nodes tell only of their own writes' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l cursor -d 'Remember in FILE how far it got, and go on there at the next start' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l max-retries -d 'Attempts to connect after the first one; once live it is tried for ever' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l max-backoff -d 'The longest time between two attempts' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s r -l raw-strings -d 'With --jq: print strings bare, without quotes'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l initial -d 'First the records that exist now, then the live feed'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l guest -d 'Watch as a guest, without the saved login'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s 0 -l null -d 'What stands behind each event: NUL instead of a newline'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l no-diff -d 'Show whole records on an update, not what changed'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l fail-on-gap -d 'End with 7 as soon as a gap is known that was not filled'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l no-reconnect -d 'End with 6 when the connection is lost'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l no-check -d 'Skip the check of the topics before the watch'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l until -d 'End with 0 when this holds; any one of several is enough [default: the first event]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l fail-if -d 'End with 10 when this holds; it is looked at before --until' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l timeout -d 'End with 124 so long after the start' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s f -l filter -d 'Only records that match' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l param -d 'Bind V to {:K} in the filters; K:=V for a number, true, false or null' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l expand -d 'Relations to resolve, separated by commas' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l fields -d 'Only these fields, separated by commas' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l query -d 'A query parameter, for rules that read @request.query' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s H -l header -d 'A header, for rules that read @request.headers' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s a -l action -d 'Only these actions: create, update, delete' -r -f -a "create\t''
update\t''
delete\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l jq -d 'Print what this jq expression yields for each event' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l since -d 'First what changed since then: 2026-03-01, 12:00, 90m, 2d' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s o -l output -d 'How to print events: auto, pretty, ndjson, raw' -r -f -a "auto\t''
pretty\t''
ndjson\t''
raw\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l format -d 'Print each event as this text, such as \'{action} {record.title}\'' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l time -d 'The time in pretty lines and --format: of this place, UTC, since the event before, or none' -r -f -a "local\t''
utc\t''
delta\t''
none\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l lifecycle -d 'What happens to the connection: on stderr, stdout, none' -r -f -a "stderr\t''
stdout\t''
none\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l catch-up -d 'After a gap, read again what changed and print it as replayed' -r -f -a "auto\t''
off\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l poll -d 'Besides the feed, list what changed every so often: for clusters, whose nodes tell only of their own writes' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l cursor -d 'Remember in FILE how far it got, and go on there at the next start' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l max-retries -d 'Attempts to connect after the first one; once live it is tried for ever' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l max-backoff -d 'The longest time between two attempts' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l no-initial -d 'Do not test the present state of a record'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s r -l raw-strings -d 'With --jq: print strings bare, without quotes'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l initial -d 'First the records that exist now, then the live feed'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l guest -d 'Watch as a guest, without the saved login'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s 0 -l null -d 'What stands behind each event: NUL instead of a newline'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l no-diff -d 'Show whole records on an update, not what changed'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l fail-on-gap -d 'End with 7 as soon as a gap is known that was not filled'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l no-reconnect -d 'End with 6 when the connection is lost'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l no-check -d 'Skip the check of the topics before the watch'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -s f -l filter -d 'Only records that match' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l param -d 'Bind V to {:K} in the filters; K:=V for a number, true, false or null' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l expand -d 'Relations to resolve, separated by commas' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l fields -d 'Only these fields, separated by commas' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l query -d 'A query parameter, for rules that read @request.query' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -s H -l header -d 'A header, for rules that read @request.headers' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l guest -d 'Ask as a guest, without the saved login'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l json -d 'As one JSON array'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l count -d 'Count the records of each collection, too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand topics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l url -d 'The server [default: the profile\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -s p -l profile -d 'The saved login to use [default: the last one used]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l config -d 'A file that stands in for config.toml' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l connect-timeout -d 'How long a connection may take to stand' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l http-header -d 'A header of each request, for a gateway in between; @FILE reads them from lines' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l proxy -d 'A proxy: http, https, socks5, or socks5h, which looks up names too [default: the environment\'s]' -r
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l ca-cert -d 'Trust the certificates in this PEM file besides the system\'s' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l client-cert -d 'Show this certificate to the server: PEM, with its key' -r -F
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l color -d 'When to use colours' -r -f -a "auto\t''
always\t''
never\t''"
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -l allow-http -d 'Let passwords and tokens go over plain http to another machine'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -s k -l insecure -d 'Take any certificate: whoever is on the way can read and change everything'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -s v -l verbose -d 'Show each request; twice: the stream too'
complete -c bosbase-watch -n "__fish_bosbase_watch_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
