package words

// helpPanel is the help of kaztoken panel.
var helpPanel = []helpEntry{
	{"Open the control panel in a browser", "Басқару панелін браузерде ашу", "Открыть панель управления в браузере"},
	{
		"Serve the control panel as a web page on this machine, and open it in the default browser. With --no-browser the address is printed only. If the panel runs already, it is opened once more.",
		"Басқару панелін осы компьютерде веб-бет ретінде ұсынады және әдепкі браузерде ашады. --no-browser болса, мекенжайы ғана шығады. Панель жұмыс істеп тұрса, ол тағы бір рет ашылады.",
		"Показывать панель управления как веб-страницу на этом компьютере и открыть её в браузере по умолчанию. С --no-browser адрес только печатается. Если панель уже запущена, она открывается ещё раз.",
	},
	{
		"The address holds a secret that works once, within ten minutes; the browser gets a session in its place, which ends with this program. Other users of this machine and other web pages cannot use the panel.",
		"Мекенжайда он минут ішінде бір рет жарайтын құпия бар; браузер оның орнына осы бағдарламамен бірге аяқталатын сеанс алады. Компьютердің басқа пайдаланушылары мен басқа веб-беттер панельді пайдалана алмайды.",
		"В адресе есть секрет, который действует один раз в течение десяти минут; вместо него браузер получает сеанс, который кончается вместе с этой программой. Другие пользователи компьютера и другие веб-страницы воспользоваться панелью не могут.",
	},
	{
		"--listen takes an address and port, or unix:PATH. Beyond the loopback addresses it needs TLS and a password: --tls-cert, --tls-key and --password-file, whose line is made by: kaztoken panel password",
		"--listen мекенжай мен портты немесе unix:PATH қабылдайды. Компьютердің ішкі мекенжайларынан тыс жерде TLS пен құпиясөз қажет: --tls-cert, --tls-key және жолын мына пәрмен жасайтын --password-file: kaztoken panel password",
		"--listen принимает адрес и порт или unix:PATH. За пределами внутренних адресов компьютера нужны TLS и пароль: --tls-cert, --tls-key и --password-file, строку для которого делает kaztoken panel password",
	},
	{
		"--json prints an object once the panel is served, with the keys\n  url (holds the secret), address, pid, reused",
		"--json панель дайын болғанда мына кілттері бар нысанды шығарады:\n  url (құпия осында), address, pid, reused",
		"--json печатает, когда панель готова, объект с ключами\n  url (содержит секрет), address, pid, reused",
	},
	{
		"`ADDRESS`:PORT or unix:PATH to serve at; port 0 is any that is free",
		"панельдің `ADDRESS`:PORT мекенжайы немесе unix:PATH; 0 порты кез келген бос порт",
		"`ADDRESS`:PORT или unix:PATH панели; порт 0 означает любой свободный",
	},
	{"do not open a browser", "браузерді ашпау", "не открывать браузер"},
	{
		"end when no browser has been in the panel for so long, 0 for never",
		"панельде осынша уақыт бірде-бір браузер болмаса аяқталу, 0: ешқашан", "завершиться, если столько времени в панели не было ни одного браузера, 0: никогда",
	},
	{
		"`FILE` with the certificate of the server, and its chain, in PEM",
		"сервер сертификаты мен оның тізбегі бар `FILE`, PEM түрінде", "`FILE` с сертификатом сервера и его цепочкой в PEM",
	},
	{"`FILE` with its private key, in PEM", "оның жабық кілті бар `FILE`, PEM түрінде", "`FILE` с его закрытым ключом в PEM"},
	{"`FILE` with what is kept of the password", "құпиясөзден сақталатын жазбасы бар `FILE`", "`FILE` с тем, что хранится вместо пароля"},
	{"Make the line of a password file for the panel", "Панельдің құпиясөз файлына арналған жолды жасау", "Сделать строку файла пароля панели"},
	{
		"Make what the panel keeps of a password: one line, for the file of --password-file. The password is typed twice and has 12 bytes or more. It cannot be read out of the line, which holds a salt and 600,000 rounds of PBKDF2 with HMAC-SHA-256.",
		"Панель құпиясөзден не сақтайтынын жасайды: --password-file файлына арналған бір жол. Құпиясөз екі рет теріледі және кемінде 12 байттан тұрады. Оны бұл жолдан оқып алу мүмкін емес: онда тұз бен HMAC-SHA-256 негізіндегі PBKDF2 әдісінің 600,000 айналымы бар.",
		"Сделать то, что панель хранит вместо пароля: одну строку для файла --password-file. Пароль вводится дважды и содержит не менее 12 байт. Прочитать его из строки нельзя: в ней соль и 600,000 раундов PBKDF2 с HMAC-SHA-256.",
	},
	{"read the password from the first line of `FILE`", "құпиясөзді `FILE` файлының бірінші жолынан оқу", "прочитать пароль из первой строки `FILE`"},
	{
		"read the password from a line of the open descriptor `N`; 0 is standard input",
		"құпиясөзді ашық `N` дескрипторының жолынан оқу; 0 стандартты енгізу", "прочитать пароль из строки открытого дескриптора `N`; 0 означает стандартный ввод",
	},
}
