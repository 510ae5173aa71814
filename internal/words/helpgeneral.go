package words

// helping is what stands around the texts of the help, and what the parser of
// the command line finds wrong.
var helping = []entry{
	{"help.usage", "Қолданылуы", "Использование", "Usage"},
	{"help.aliases", "Басқа атаулары", "Другие имена", "Aliases"},
	{"help.examples", "Мысалдар", "Примеры", "Examples"},
	{"help.commands", "Пәрмендер", "Команды", "Available Commands"},
	{"help.flags", "Параметрлер", "Параметры", "Flags"},
	{"help.global", "Ортақ параметрлер", "Общие параметры", "Global Flags"},
	{
		"help.more", "Пәрмен туралы толығырақ «{command} [пәрмен] --help» айтады",
		"Подробнее о команде расскажет «{command} [команда] --help»", `Use "{command} [command] --help" for more information about a command`,
	},
	{"help.command", "[пәрмен]", "[команда]", "[command]"},
	{"help.options", "[параметрлер]", "[параметры]", "[flags]"},
	{"help.value.string", "сөз", "слово", "string"},
	{"help.value.int", "сан", "число", "int"},
	{"help.value.duration", "уақыт", "время", "duration"},
	{"help.default", "әдепкі", "по умолчанию", "default"},

	{"man.name", "АТЫ", "ИМЯ", "NAME"},
	{"man.synopsis", "ҚОЛДАНЫЛУЫ", "ОБЗОР", "SYNOPSIS"},
	{"man.description", "СИПАТТАМАСЫ", "ОПИСАНИЕ", "DESCRIPTION"},
	{"man.options", "ПАРАМЕТРЛЕР", "ПАРАМЕТРЫ", "OPTIONS"},
	{"man.commands", "ПӘРМЕНДЕР", "КОМАНДЫ", "COMMANDS"},
	{"man.exit", "ШЫҒУ КОДТАРЫ", "КОДЫ ЗАВЕРШЕНИЯ", "EXIT STATUS"},
	{"man.environment", "ОРТА АЙНЫМАЛЫЛАРЫ", "ПЕРЕМЕННЫЕ ОКРУЖЕНИЯ", "ENVIRONMENT"},
	{"man.files", "ФАЙЛДАР", "ФАЙЛЫ", "FILES"},
	{"man.examples", "МЫСАЛДАР", "ПРИМЕРЫ", "EXAMPLES"},
	{"man.also", "ТАҒЫ ҚАРАҢЫЗ", "СМОТРИТЕ ТАКЖЕ", "SEE ALSO"},
	{
		"man.global", "Барлық пәрменге ортақ параметрлер {page} бетінде",
		"Общие параметры всех команд: см. {page}", "Options of every command: see {page}",
	},
	{"man.manual", "KAZTOKEN анықтамалығы", "Руководство KAZTOKEN", "KAZTOKEN manual"},
	{
		"man.env.flags", "{flags} параметрлері берілмесе, олардың мәндері",
		"значения параметров {flags}, если они не указаны", "values of {flags} where these are not given",
	},
	{
		"man.env.lang", "хабарлар мен анықтама тілі; орнатылғандардың біріншісі ескеріледі",
		"язык сообщений и справки; решает первая из заданных", "language of messages and help; the first that is set decides",
	},
	{"man.env.config", "баптаулар қалтасы; әдепкісі {folder}", "папка настроек; по умолчанию {folder}", "folder of settings; {folder} by default"},
	{
		"man.env.state", "бағдарламалар күйінің қалтасы; әдепкісі {folder}",
		"папка состояния программ; по умолчанию {folder}", "folder of what programs keep; {folder} by default",
	},
	{"man.env.socket", "смарт-карта қызметінің сокеті", "сокет службы смарт-карт", "socket of the smart-card service"},
	{"man.file.settings", "пайдаланушының баптаулары", "настройки пользователя", "the user's settings"},
	{"man.file.service", "kaztoken serve баптаулары", "настройки kaztoken serve", "settings of kaztoken serve"},
	{"man.file.state", "виртуалды токеннің күйі", "состояние виртуального токена", "state of the virtual token"},
	{"man.file.socket", "смарт-карта қызметінің әдепкі сокеті", "сокет службы смарт-карт по умолчанию", "socket of the smart-card service, unless another is named"},
	{
		"man.file.rules", "пайдаланушылардың USB құрылғыларына рұқсаты",
		"доступ пользователей к устройствам USB", "access of users to USB devices",
	},

	{"error.command.unknown", "мұндай пәрмен жоқ: {name}", "нет такой команды: {name}", "there is no command {name}"},
	{
		"error.command.similar", "мұндай пәрмен жоқ: {name}; ұқсасы: {list}",
		"нет такой команды: {name}; похожа на неё: {list}", "there is no command {name}; like it is: {list}",
	},
	{"error.flag.unknown", "мұндай параметр жоқ: {flag}", "нет такого параметра: {flag}", "there is no flag {flag}"},
	{"error.flag.value", "{flag} параметріне мән керек", "параметру {flag} нужно значение", "{flag} needs a value"},
	{
		"error.flag.bad", "{flag} параметріне бұл мән жарамайды: {value}",
		"параметру {flag} не подходит значение: {value}", "{flag} does not take: {value}",
	},
	{"error.flag.required", "міндетті параметр берілмеген: {flags}", "не указан обязательный параметр: {flags}", "a required flag is missing: {flags}"},
	{"error.flag.exclude", "бұл параметрлер бірге берілмейді: {flags}", "эти параметры исключают друг друга: {flags}", "these flags exclude each other: {flags}"},
	{
		"error.arguments", "аргументтер саны {want} болуы керек, берілгені: {got}",
		"нужно аргументов: {want}, указано: {got}", "arguments wanted: {want}, given: {got}",
	},
	{
		"error.arguments.least", "аргументтер саны кемінде {want} болуы керек, берілгені: {got}",
		"нужно аргументов: не меньше {want}, указано: {got}", "arguments wanted: at least {want}, given: {got}",
	},
	{
		"error.arguments.most", "аргументтер саны көп дегенде {want} болуы керек, берілгені: {got}",
		"нужно аргументов: не больше {want}, указано: {got}", "arguments wanted: at most {want}, given: {got}",
	},
	{"error.argument", "артық аргумент: {name}", "лишний аргумент: {name}", "one argument too many: {name}"},
}

// helpGeneral is the help of the program itself, of its help and of the flags
// that several commands share.
var helpGeneral = []helpEntry{
	{"Drive and manage the KAZTOKEN USB token", "KAZTOKEN USB токенін іске қосу және басқару", "Работа с USB-токеном KAZTOKEN и управление им"},
	{
		"kaztoken drives and manages the KAZTOKEN USB token, its Rutoken relatives and, when told to, every CCID smart-card reader. It needs neither pcscd nor a kernel driver.",
		"kaztoken KAZTOKEN USB токенімен, оған туыс Rutoken токендерімен және сұралса, кез келген CCID смарт-карта оқу құрылғысымен жұмыс істейді және оларды басқарады. Оған pcscd те, ядро драйвері де қажет емес.",
		"kaztoken работает с USB-токеном KAZTOKEN, с родственными ему токенами Rutoken, а если попросить, то и с любым считывателем смарт-карт CCID, и управляет ими. Ему не нужны ни pcscd, ни драйвер в ядре.",
	},
	{
		"PINs and passwords are typed at a prompt, or read from the first line of a file (--pin-file and the like) or a line of an open descriptor (--pin-fd). They are never arguments. What destroys something names the token and asks first; --yes answers the question and skips no check.",
		"ПИН кодтар мен құпиясөздер сұралғанда теріледі, немесе файлдың бірінші жолынан (--pin-file және соған ұқсастар), не ашық дескриптордың бір жолынан (--pin-fd) оқылады. Олар ешқашан аргумент болмайды. Бірдеңені жоятын пәрмен алдымен токенді атап, сұрайды; --yes сұраққа жауап береді, бірақ бірде-бір тексеруді өткізіп жібермейді.",
		"PIN-коды и пароли вводятся по запросу или читаются из первой строки файла (--pin-file и подобные) либо из строки открытого дескриптора (--pin-fd). Аргументами они не бывают. То, что уничтожает данные, сначала называет токен и спрашивает; --yes отвечает на вопрос и не отменяет ни одной проверки.",
	},
	{
		"What no flag says is taken from the environment (KAZTOKEN_LANG, KAZTOKEN_BACKEND, KAZTOKEN_DEVICES), then from the user's settings: kaztoken/config.toml in $XDG_CONFIG_HOME or the system's folder for settings.",
		"Параметрмен айтылмағаны ортадан (KAZTOKEN_LANG, KAZTOKEN_BACKEND, KAZTOKEN_DEVICES), одан кейін пайдаланушының баптауларынан алынады: бұл — $XDG_CONFIG_HOME немесе жүйенің баптаулар қалтасындағы kaztoken/config.toml.",
		"Что не задано параметрами, берётся из окружения (KAZTOKEN_LANG, KAZTOKEN_BACKEND, KAZTOKEN_DEVICES), затем из настроек пользователя: это kaztoken/config.toml в $XDG_CONFIG_HOME или в системной папке настроек.",
	},
	{
		"Messages and help are in Kazakh, Russian or English: --lang, KAZTOKEN_LANG, the settings, or LC_ALL, LC_MESSAGES or LANG. Logs and JSON are in English.",
		"Хабарлар мен анықтама қазақ, орыс немесе ағылшын тілінде болады: --lang, KAZTOKEN_LANG, баптаулар, не LC_ALL, LC_MESSAGES немесе LANG бойынша. Журналдар мен JSON ағылшын тілінде.",
		"Сообщения и справка бывают на казахском, русском и английском языках: --lang, KAZTOKEN_LANG, настройки или LC_ALL, LC_MESSAGES, LANG. Журналы и JSON — на английском.",
	},
	{
		`Exit codes:
  0  all went well; for apdu: the card answered, whatever its status word says
  1  failed; what was asked for is not there, or is there already
  2  the command line or an APDU is malformed, or does not say which token
  3  no token, no card in the reader, or it was pulled out at work
  4  PIN wrong or blocked, or its last try was not to be used
  5  the token is there but may not be used: no permission, or another program has it
  6  the token does not allow it: its format or its policy, missing rights, no room`,
		`Шығу кодтары:
  0  бәрі ойдағыдай; apdu үшін: карта жауап берді, күй сөзі қандай болса да
  1  орындалмады; сұралған нәрсе жоқ немесе бұрыннан бар
  2  пәрмен жолы немесе APDU қате, немесе қай токен екені айтылмаған
  3  токен жоқ, оқу құрылғысында карта жоқ, немесе ол жұмыс кезінде ажыратылды
  4  ПИН код қате немесе бұғатталған, немесе соңғы әрекетке рұқсат берілмеді
  5  токен бар, бірақ қолжетімсіз: рұқсат жоқ немесе оны басқа бағдарлама алған
  6  токен рұқсат бермейді: пішімі не саясаты, құқық жоқ, орын жоқ`,
		`Коды завершения:
  0  всё в порядке; для apdu: карта ответила, каким бы ни было слово состояния
  1  не выполнено; запрошенного нет, или оно уже есть
  2  неверная командная строка или APDU, или не сказано, какой токен
  3  нет токена, нет карты в считывателе, или токен отключён во время работы
  4  PIN-код неверен или заблокирован, или последняя попытка не разрешена
  5  токен есть, но недоступен: нет прав, или он занят другой программой
  6  токен не разрешает: его формат или политика, нет прав, нет места`,
	},
	{
		"Data goes to standard output, everything else to standard error.",
		"Деректер стандартты шығысқа, қалғанның бәрі стандартты қате ағынына шығады.",
		"Данные выводятся в стандартный вывод, всё остальное — в стандартный поток ошибок.",
	},
	{"road to the token: {}", "токенге баратын жол: {}", "путь к токену: {}"},
	{"which devices count: {}", "қай құрылғылар ескеріледі: {}", "какие устройства учитывать: {}"},
	{"help for {}", "анықтама: {}", "справка по {}"},
	{"print JSON", "JSON түрінде шығару", "вывести JSON"},
	{"`LANGUAGE` of messages: kk, ru or en", "хабарлар тілі, `LANGUAGE`: kk, ru немесе en", "язык сообщений `LANGUAGE`: kk, ru или en"},
	{"what to log on standard error: {}", "стандартты қате ағынына не жазылады: {}", "что писать в стандартный поток ошибок: {}"},
	{
		"`SELECTOR` of one token among several: serial number, port, bus:address, number or name",
		"бірнеше токеннің бірін таңдайтын `SELECTOR`: сериялық нөмір, порт, шина:адрес, нөмір немесе аты",
		"какой токен из нескольких, `SELECTOR`: серийный номер, порт, шина:адрес, номер или имя",
	},
	{"how to talk to USB: {}", "USB-мен қалай жұмыс істейді: {}", "как работать с USB: {}"},
	{
		"how to talk to USB: this build has no driver for this system",
		"USB-мен қалай жұмыс істейді: бұл құрамада осы жүйеге арналған драйвер жоқ",
		"как работать с USB: в этой сборке нет драйвера для этой системы",
	},
	{
		"`FILE` with the state of the virtual token; with --backend virtual",
		"виртуалды токеннің күйі сақталатын `FILE`; --backend virtual болғанда",
		"файл `FILE` с состоянием виртуального токена; с --backend virtual",
	},
	{"Help about any command", "Кез келген пәрмен туралы анықтама", "Справка о любой команде"},
	{
		"Help provides help for any command in the application. Simply type kaztoken help [path to command] for full details.",
		"Бағдарламаның кез келген пәрмені туралы анықтама береді. Толық мәлімет үшін kaztoken help теріп, соңынан пәрменді жазыңыз.",
		"Справка о любой команде программы. Для полных сведений наберите kaztoken help и после него команду.",
	},
	{"--json prints an object with the keys {}", "--json болса, мына кілттері бар нысан шығады: {}", "С --json выводится объект с ключами {}"},
	{"--json prints an object with the key {}", "--json болса, мына кілті бар нысан шығады: {}", "С --json выводится объект с ключом {}"},

	// Of commands that log in, or destroy.
	{
		"use the last try; a wrong PIN then blocks the token",
		"соңғы әрекетті пайдалану; ПИН код қате болса, токен бұғатталады",
		"использовать последнюю попытку; неверный PIN-код тогда заблокирует токен",
	},
	{
		"do not ask; everything else is checked as ever",
		"сұрамау; қалғанның бәрі әдеттегідей тексеріледі",
		"не спрашивать; всё остальное проверяется как обычно",
	},
	{"read the user PIN from the first line of `FILE`", "Пайдаланушының ПИН кодын `FILE` файлының бірінші жолынан оқу", "взять PIN-код Пользователя из первой строки файла `FILE`"},
	{
		"read the user PIN from a line of the open descriptor `N`; 0 is standard input",
		"Пайдаланушының ПИН кодын ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять PIN-код Пользователя из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"read the administrator PIN from the first line of `FILE`", "Әкімшінің ПИН кодын `FILE` файлының бірінші жолынан оқу", "взять PIN-код Администратора из первой строки файла `FILE`"},
	{
		"read the administrator PIN from a line of the open descriptor `N`; 0 is standard input",
		"Әкімшінің ПИН кодын ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять PIN-код Администратора из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"read the chosen PIN from the first line of `FILE`", "таңдалған ПИН кодты `FILE` файлының бірінші жолынан оқу", "взять выбранный PIN-код из первой строки файла `FILE`"},
	{
		"read the chosen PIN from a line of the open descriptor `N`; 0 is standard input",
		"таңдалған ПИН кодты ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять выбранный PIN-код из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"read the present PIN from the first line of `FILE`", "қазіргі ПИН кодты `FILE` файлының бірінші жолынан оқу", "взять нынешний PIN-код из первой строки файла `FILE`"},
	{
		"read the present PIN from a line of the open descriptor `N`; 0 is standard input",
		"қазіргі ПИН кодты ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять нынешний PIN-код из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"read the new PIN from the first line of `FILE`", "жаңа ПИН кодты `FILE` файлының бірінші жолынан оқу", "взять новый PIN-код из первой строки файла `FILE`"},
	{
		"read the new PIN from a line of the open descriptor `N`; 0 is standard input",
		"жаңа ПИН кодты ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять новый PIN-код из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"raw, hex, base64", "raw, hex, base64", "raw, hex, base64"},
	{"`FILE` to write to instead of standard output", "стандартты шығыс орнына жазылатын `FILE`", "файл `FILE`, в который писать вместо стандартного вывода"},
}

// helpCompletion is the help of the scripts that complete command lines.
var helpCompletion = []helpEntry{
	{
		"Generate the autocompletion script for the specified shell",
		"Аталған қабықша үшін автотолықтыру скриптін шығару", "Вывести сценарий автодополнения для оболочки",
	},
	{
		"Generate the autocompletion script for kaztoken for the specified shell. See each sub-command's help for details on how to use the generated script.",
		"Аталған қабықша үшін kaztoken пәрменін автотолықтыру скриптін шығарады. Оны қалай пайдалану керегі әр қабықша пәрменінің анықтамасында айтылған.",
		"Вывести сценарий автодополнения kaztoken для названной оболочки. Как им пользоваться, сказано в справке о команде каждой оболочки.",
	},
	{"Generate the autocompletion script for {}", "Автотолықтыру скриптін шығару: {}", "Вывести сценарий автодополнения для {}"},
	{"Generate the autocompletion script for the bash shell.", "bash үшін автотолықтыру скриптін шығарады.", "Вывести сценарий автодополнения для bash."},
	{"Generate the autocompletion script for the zsh shell.", "zsh үшін автотолықтыру скриптін шығарады.", "Вывести сценарий автодополнения для zsh."},
	{"Generate the autocompletion script for the fish shell.", "fish үшін автотолықтыру скриптін шығарады.", "Вывести сценарий автодополнения для fish."},
	{
		"This script depends on the 'bash-completion' package. If it is not installed already, you can install it via your OS's package manager.",
		"Скриптке bash-completion дестесі керек. Ол орнатылмаған болса, жүйенің дестелер менеджері арқылы орнатыңыз.",
		"Сценарию нужен пакет bash-completion. Если его нет, установите его через диспетчер пакетов системы.",
	},
	{
		"If shell completion is not already enabled in your environment you will need to enable it. You can execute the following once:",
		"Қабықшада автотолықтыру қосылмаған болса, оны қосу керек. Мынаны бір рет орындаңыз:",
		"Если автодополнение в оболочке не включено, включите его. Выполните один раз:",
	},
	{"To load completions in your current shell session:", "Ағымдағы қабықша сеансына жүктеу үшін:", "Чтобы загрузить в текущий сеанс оболочки:"},
	{"To load completions for every new session, execute once:", "Әр жаңа сеансқа жүктелуі үшін бір рет орындаңыз:", "Чтобы загружалось в каждый новый сеанс, выполните один раз:"},
	{
		"To load completions for every new session, add the output of the above command to your powershell profile.",
		"Әр жаңа сеансқа жүктелуі үшін жоғарыдағы пәрменнің шығысын powershell профиліне қосыңыз.",
		"Чтобы загружалось в каждый новый сеанс, добавьте вывод этой команды в профиль powershell.",
	},
	{
		"You will need to start a new shell for this setup to take effect.",
		"Баптау күшіне енуі үшін жаңа қабықша ашыңыз.", "Чтобы настройка подействовала, запустите оболочку заново.",
	},
	{"disable completion descriptions", "толықтыруларды түсіндірмесіз беру", "без пояснений к вариантам"},
}
