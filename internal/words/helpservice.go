package words

// helpService is the help of kaztoken serve and status.
var helpService = []helpEntry{
	{"Serve smart-card programs in place of pcscd", "pcscd орнына смарт-карта бағдарламаларына қызмет көрсету", "Обслуживать программы смарт-карт вместо pcscd"},
	{
		"Serve the programs that use PC/SC through libpcsclite: OpenSC, p11-kit, Java, browsers. They need no change and no pcscd; they look for the socket /run/pcscd/pcscd.comm, or the one that they find in PCSCLITE_CSOCK_NAME.",
		"PC/SC-ті libpcsclite арқылы пайдаланатын бағдарламаларға қызмет көрсетеді: OpenSC, p11-kit, Java, браузерлер. Оларды өзгерту де, pcscd де қажет емес; олар /run/pcscd/pcscd.comm сокетін немесе PCSCLITE_CSOCK_NAME айнымалысындағы сокетті іздейді.",
		"Обслуживать программы, которые пользуются PC/SC через libpcsclite: OpenSC, p11-kit, Java, браузеры. Менять их не нужно, pcscd тоже не нужен; они ищут сокет /run/pcscd/pcscd.comm или тот, что указан в PCSCLITE_CSOCK_NAME.",
	},
	{
		"The service refuses to start where another one listens, and says which. Run with systemd it takes its socket from there, and tells it when it is ready. SIGHUP has it read its settings again; SIGTERM ends it, and its clients are told.",
		"Басқа қызмет тыңдап тұрған жерде бұл қызмет іске қосылмайды және қайсысы екенін айтады. systemd іске қосса, сокетін содан алады және дайын болғанда оған хабарлайды. SIGHUP келсе, баптауларын қайта оқиды; SIGTERM оны аяқтайды, клиенттеріне хабарланады.",
		"Там, где слушает другая служба, эта не запускается и говорит, какая там. Запущенная через systemd, она берёт сокет у него и сообщает ему о готовности. По SIGHUP она перечитывает настройки; SIGTERM её завершает, клиентам об этом сообщается.",
	},
	{
		"Root, the user that the service runs as and the users of active local sessions (as logind has them) may use it, and those whom --group and --user name. Where there is no logind, members of the group kaztoken may, too.",
		"Оны root, қызмет атынан жұмыс істейтін пайдаланушы және белсенді жергілікті сеанстардың пайдаланушылары (logind бойынша), сондай-ақ --group пен --user атағандар пайдалана алады. logind жоқ жерде kaztoken тобының мүшелері де.",
		"Пользоваться ею могут root, пользователь, от имени которого она работает, и пользователи активных локальных сеансов (по данным logind), а также те, кого называют --group и --user. Где нет logind, могут и члены группы kaztoken.",
	},
	{
		"With --virtual the one reader is a token in software, in this process: new at every start, or kept in FILE with --virtual-state.",
		"--virtual болса, жалғыз оқу құрылғысы — осы процестегі бағдарламалық токен: әр іске қосқанда жаңа, немесе --virtual-state арқылы FILE файлында сақталады.",
		"С --virtual единственный считыватель — программный токен в этом процессе: новый при каждом запуске или хранимый в FILE с --virtual-state.",
	},
	{
		"What is not said by a flag is read from the file of --config: the table [service] of a TOML file, with the keys readers, groups, users and legacy_slots; and again at SIGHUP.",
		"Параметрмен айтылмағаны --config файлынан оқылады: бұл — TOML файлының readers, groups, users, legacy_slots кілттері бар [service] кестесі; SIGHUP келгенде қайта оқылады.",
		"Что не задано параметрами, читается из файла --config: это таблица [service] файла TOML с ключами readers, groups, users, legacy_slots; по SIGHUP он читается снова.",
	},
	{
		`--json prints an object once programs are served, with the keys
  socket, export (what to put into their environment; empty for the socket that
  they know), pid, and readers as in status`,
		`--json болса, бағдарламаларға қызмет көрсетіле бастағанда нысан шығады, кілттері:
  socket, export (олардың ортасына не қосу керек; олар білетін сокет болса, бос),
  pid және status пәрменіндегідей readers`,
		`С --json, когда программы обслуживаются, выводится объект с ключами
  socket, export (что добавить в их окружение; пусто для сокета, который они
  знают), pid и readers, как в status`,
	},
	{"`FILE` of settings", "баптаулар файлы, `FILE`", "файл настроек `FILE`"},
	{"`GROUP` whose members may use the service; may be repeated", "мүшелері қызметті пайдалана алатын `GROUP`; қайталауға болады", "группа `GROUP`, члены которой могут пользоваться службой; можно повторять"},
	{"end when there was no client for so long, 0 for never", "осынша уақыт клиент болмаса, аяқтау; 0 — ешқашан", "завершиться, если столько времени не было клиентов; 0 — никогда"},
	{"`N` readers that clients before pcsc-lite 2.5 expect; 0 is 16", "pcsc-lite 2.5 нұсқасына дейінгі клиенттер күтетін оқу құрылғыларының саны, `N`; 0 — 16", "сколько считывателей, `N`, ожидают клиенты до pcsc-lite 2.5; 0 — это 16"},
	{"which readers to serve, instead of --devices: {}", "--devices орнына қай оқу құрылғылары ұсынылады: {}", "какие считыватели предоставлять, вместо --devices: {}"},
	{"`PATH` of the socket", "сокеттің жолы, `PATH`", "путь к сокету `PATH`"},
	{"`USER` who may use the service; may be repeated", "қызметті пайдалана алатын `USER`; қайталауға болады", "пользователь `USER`, который может пользоваться службой; можно повторять"},
	{"serve a token in software", "бағдарламалық токенді ұсыну", "предоставить программный токен"},

	{"Show what the service does, and for whom", "Қызмет не істейтінін және кім үшін істейтінін көрсету", "Показать, что делает служба и для кого"},
	{
		"Show the readers, the cards and the programs that the running service has: who holds which card, for how long, and who has it for itself.",
		"Жұмыс істеп тұрған қызметтің оқу құрылғыларын, карталарын және бағдарламаларын көрсетеді: қай картаны кім, қашаннан бері ұстап тұр және кім оны жалғыз өзі алған.",
		"Показать считыватели, карты и программы работающей службы: кто какую карту держит, как давно и кто занял её один.",
	},
	{
		"The service tells it on a socket of its own, beside the one for programs. Root and the user that the service runs as see everything; others see of programs of other users only that they are there.",
		"Қызмет мұны бағдарламалар сокетінің жанындағы бөлек сокетте айтады. root және қызмет атынан жұмыс істейтін пайдаланушы бәрін көреді; қалғандар басқа пайдаланушылардың бағдарламалары бар екенін ғана көреді.",
		"Служба сообщает это на отдельном сокете, рядом с сокетом для программ. root и пользователь, от имени которого она работает, видят всё; остальные видят о программах других пользователей только то, что они есть.",
	},
	{
		`--json prints the object that the service sends, with the keys
  program, pid, uid, socket, started, whole (false: something is left out),
  readers: name, visible, state, power (an idle card has none, whatever programs
    see), atr, protocol, sharing (-1 exclusive), cards (that came and went),
    waiting (requests that wait for the card),
    lock (who has the card for itself: pid, uid, program, since; or null), and
    handles: pid, uid, program, since, share, event, lock
  clients: pid, uid, program, since, version, context, waiting, handles
Of what is left out pid is 0, uid 4294967295 and program empty.`,
		`--json болса, қызмет жіберген нысан шығады, кілттері:
  program, pid, uid, socket, started, whole (false: бірдеңе көрсетілмеген),
  readers: name, visible, state, power (бос тұрған картада қуат жоқ,
    бағдарламалар не көрсе де), atr, protocol, sharing (-1 болса, біреудікі ғана),
    cards (келіп-кеткені), waiting (картаны күтіп тұрған сұраулар),
    lock (картаны кім жалғыз алған: pid, uid, program, since; немесе null) және
    handles: pid, uid, program, since, share, event, lock
  clients: pid, uid, program, since, version, context, waiting, handles
Көрсетілмегеннің pid мәні 0, uid мәні 4294967295, program бос.`,
		`С --json выводится объект, который присылает служба, с ключами
  program, pid, uid, socket, started, whole (false: что-то не показано),
  readers: name, visible, state, power (у простаивающей карты питания нет, что бы
    ни видели программы), atr, protocol, sharing (-1 — занята одной), cards
    (сколько побывало), waiting (запросы, которые ждут карту),
    lock (кто занял карту один: pid, uid, program, since; или null) и
    handles: pid, uid, program, since, share, event, lock
  clients: pid, uid, program, since, version, context, waiting, handles
У того, что не показано, pid равен 0, uid 4294967295, program пуст.`,
	},
	{
		"`PATH` of the service's socket; without it $PCSCLITE_CSOCK_NAME or /run/pcscd/pcscd.comm",
		"қызмет сокетінің жолы, `PATH`; берілмесе, $PCSCLITE_CSOCK_NAME немесе /run/pcscd/pcscd.comm",
		"путь к сокету службы `PATH`; без него $PCSCLITE_CSOCK_NAME или /run/pcscd/pcscd.comm",
	},
}
