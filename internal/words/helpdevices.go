package words

// helpDevices is the help of kaztoken list, info, apdu, demo, virtual,
// udev-rules and version.
var helpDevices = []helpEntry{
	{"List the tokens that are plugged in", "Қосылған токендерді тізу", "Перечислить подключённые токены"},
	{"List the tokens that are plugged in, without opening any.", "Қосылған токендерді ашпай тізеді.", "Перечислить подключённые токены, не открывая их."},
	{
		"With --watch, open and power up each token that is there or comes, and print a line for each arrival, removal and failure until interrupted.",
		"--watch болса, бар немесе қосылған әр токенді ашып, оған қуат береді және тоқтатылғанша әр қосылу, ажыратылу мен сәтсіздікке бір жол шығарады.",
		"С --watch открыть и включить каждый токен, который есть или появится, и до прерывания выводить по строке на каждое подключение, отключение и сбой.",
	},
	{
		`--json prints an array of objects with the keys
  name, index, slot, backend, interface, accessible (this user may open it),
  holders (other programs that have it open), and
  usb: vendor, product, release, manufacturer, product_name, serial, port, bus, address
    (null if a smart-card service has the device)
--watch --json prints one object per line with the keys
  event (arrived, removed, failed, overrun), name, usb, driver, error, hint,
  time, reported (when the kernel said so; null if it did not), and
  slots: slot, state, atr, protocol`,
		`--json болса, нысандар жиымы шығады, әрқайсысының кілттері:
  name, index, slot, backend, interface, accessible (бұл пайдаланушы аша алады),
  holders (оны ашып тұрған басқа бағдарламалар) және
  usb: vendor, product, release, manufacturer, product_name, serial, port, bus, address
    (құрылғы смарт-карта қызметінде болса, null)
--watch --json болса, әр жолға бір нысан шығады, кілттері:
  event (arrived, removed, failed, overrun), name, usb, driver, error, hint,
  time, reported (ядро қашан хабарлады; хабарламаса, null) және
  slots: slot, state, atr, protocol`,
		`С --json выводится массив объектов с ключами
  name, index, slot, backend, interface, accessible (может ли открыть этот
  пользователь), holders (другие программы, у которых он открыт) и
  usb: vendor, product, release, manufacturer, product_name, serial, port, bus, address
    (null, если устройство у службы смарт-карт)
С --watch --json выводится по объекту на строку с ключами
  event (arrived, removed, failed, overrun), name, usb, driver, error, hint,
  time, reported (когда сообщило ядро; null, если не сообщило) и
  slots: slot, state, atr, protocol`,
	},
	{"print arrivals and removals until interrupted", "тоқтатылғанша қосылу мен ажыратылуды шығару", "выводить подключения и отключения до прерывания"},

	{"Describe a token", "Токенді сипаттау", "Описать токен"},
	{
		"Describe a token: the information window of the vendor's control panel, field by field, and the state of both PINs. It needs no PIN and costs no try. What the token does not tell is unknown; what is known of the model alone is marked.",
		"Токенді сипаттайды: өндірушінің басқару панеліндегі ақпарат терезесі өріс бойынша және екі ПИН кодтың күйі. ПИН код қажет емес, әрекет саны азаймайды. Токен айтпағаны белгісіз болады; тек модель бойынша белгілісі ескертіледі.",
		"Описать токен: окно информации панели управления производителя, поле за полем, и состояние обоих PIN-кодов. PIN-код не нужен, попытки не расходуются. Чего токен не сообщает, то неизвестно; что известно только по модели, отмечено.",
	},
	{
		"With --reader, describe what is around it instead: the USB device, what its reader declares, the answer to reset and the protocol, all in words. A reader without a card is described too, and so is one whose card does not come up, with exit code 1. Of a reader that a smart-card service has, the service is asked.",
		"--reader болса, оның орнына токеннің айналасын сипаттайды: USB құрылғысын, оқу құрылғысының мәлімдемелерін, бастапқы күйге келтіру жауабын және протоколды, бәрін сөзбен. Картасыз оқу құрылғысы да, картасы қосылмайтыны да сипатталады, соңғысында шығу коды 1. Оқу құрылғысы смарт-карта қызметінде болса, қызметтен сұралады.",
		"С --reader описать вместо этого то, что вокруг: устройство USB, что заявляет его считыватель, ответ на сброс и протокол, всё словами. Описывается и считыватель без карты, и тот, чья карта не включается, тогда код завершения 1. О считывателе, занятом службой смарт-карт, спрашивается у службы.",
	},
	{
		`--json prints an object with the keys
  token (null if the card cannot be asked): format (pkcs15, vendor, half,
    wiped), reader, pins: user and administrator, as in pin status or null, and
    name, model, id (hexadecimal), version, total_memory, free_memory,
    available_memory (bytes), firmware, manufacturer, user_pin_policy (user,
    admin, both), utf8_pins, rsa_bits (min, max), each with
    value (null if unknown), source (token, inferred, nominal, unknown),
  name, index, backend, driver, atr_words, error (why the card has no power),
  usb: as in list,
  interface (null if a smart-card service has the device): number, class,
    protocol, kind, bulk_out, bulk_in, interrupt, max_packet_size, repairs (what
    the descriptors declare wrongly),
  reader (null as well): version, slots, busy_slots, level, features,
    feature_words, max_message_length, max_ifsd, protocols, voltages, clock_khz and bit_rate
    (default, maximum), pin_pad, display, and
  slot: slot, state, atr, protocol`,
		`--json болса, мына кілттері бар нысан шығады:
  token (картадан сұрау мүмкін болмаса, null): format (pkcs15, vendor, half,
    wiped), reader, pins: user және administrator, pin status пәрменіндегідей
    немесе null, және
    name, model, id (он алтылық), version, total_memory, free_memory,
    available_memory (байт), firmware, manufacturer, user_pin_policy (user,
    admin, both), utf8_pins, rsa_bits (min, max), әрқайсысында
    value (белгісіз болса, null), source (token, inferred, nominal, unknown),
  name, index, backend, driver, atr_words, error (картада неге қуат жоқ),
  usb: list пәрменіндегідей,
  interface (құрылғы смарт-карта қызметінде болса, null): number, class,
    protocol, kind, bulk_out, bulk_in, interrupt, max_packet_size, repairs
    (дескрипторлар нені қате мәлімдейді),
  reader (бұл да null): version, slots, busy_slots, level, features,
    feature_words, max_message_length, max_ifsd, protocols, voltages, clock_khz,
    bit_rate (default, maximum), pin_pad, display және
  slot: slot, state, atr, protocol`,
		`С --json выводится объект с ключами
  token (null, если карту нельзя спросить): format (pkcs15, vendor, half,
    wiped), reader, pins: user и administrator, как в pin status, или null, и
    name, model, id (шестнадцатеричный), version, total_memory, free_memory,
    available_memory (байты), firmware, manufacturer, user_pin_policy (user,
    admin, both), utf8_pins, rsa_bits (min, max), в каждом
    value (null, если неизвестно), source (token, inferred, nominal, unknown),
  name, index, backend, driver, atr_words, error (почему карта без питания),
  usb: как в list,
  interface (null, если устройство у службы смарт-карт): number, class,
    protocol, kind, bulk_out, bulk_in, interrupt, max_packet_size, repairs (что
    дескрипторы заявляют неверно),
  reader (тоже null): version, slots, busy_slots, level, features,
    feature_words, max_message_length, max_ifsd, protocols, voltages, clock_khz
    и bit_rate (default, maximum), pin_pad, display и
  slot: slot, state, atr, protocol`,
	},
	{"describe the reader and the USB device instead", "оның орнына оқу құрылғысы мен USB құрылғысын сипаттау", "описать вместо этого считыватель и устройство USB"},

	{"Send APDUs to the card as they are", "Картаға APDU-ды сол қалпында жіберу", "Отправить карте APDU как есть"},
	{
		"Send command APDUs to the card and print the answers, each with its status word in words. An APDU is hexadecimal digits, with spaces or colons between bytes if you like. Each argument is one APDU; arguments of one byte each are one APDU together. The word reset powers the card off and on.",
		"Картаға APDU пәрмендерін жіберіп, жауаптарын күй сөзінің түсіндірмесімен шығарады. APDU он алтылық цифрлардан тұрады, байттар арасына бос орын не қос нүкте қоюға болады. Әр аргумент — бір APDU; бір байттық аргументтер бірігіп бір APDU болады. reset сөзі картаның қуатын өшіріп, қосады.",
		"Отправить карте команды APDU и вывести ответы, каждый со словом состояния и его значением. APDU — шестнадцатеричные цифры, между байтами можно ставить пробелы или двоеточия. Каждый аргумент — один APDU; аргументы по одному байту вместе составляют один APDU. Слово reset выключает и включает карту.",
	},
	{
		"Without arguments, APDUs are read from standard input, one per line, and answered as they come; # begins a comment.",
		"Аргументсіз болса, APDU стандартты кірістен бір жолға біреуден оқылады, жауабы бірден шығады; # түсініктемені бастайды.",
		"Без аргументов APDU читаются из стандартного ввода, по одному на строке, и ответ выводится сразу; с # начинается комментарий.",
	},
	{
		"An APDU is checked before it is sent, and sent exactly as it is written: a status word such as 61xx is shown and not acted upon. The exit code is 0 whatever the status words are; they are data. The first APDU that is malformed (exit code 2) or gets no answer ends the run. PINs in VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER are never printed or logged, and are taken from standard input only: other users can see arguments.",
		"APDU жіберілместен бұрын тексеріледі және дәл жазылғандай жіберіледі: 61xx сияқты күй сөзі көрсетіледі, бірақ ол бойынша ештеңе істелмейді. Күй сөзі қандай болса да, шығу коды 0: олар — деректер. Бірінші қате APDU (шығу коды 2) немесе жауапсыз қалғаны жұмысты тоқтатады. VERIFY, CHANGE REFERENCE DATA және RESET RETRY COUNTER ішіндегі ПИН кодтар ешқашан шығарылмайды, журналға жазылмайды және тек стандартты кірістен алынады: аргументтерді басқа пайдаланушылар көре алады.",
		"APDU проверяется перед отправкой и отправляется точно так, как написан: слово состояния вроде 61xx показывается, но по нему ничего не делается. Код завершения 0 при любых словах состояния: это данные. Первый же неверный APDU (код завершения 2) или APDU без ответа прекращает работу. PIN-коды в VERIFY, CHANGE REFERENCE DATA и RESET RETRY COUNTER никогда не выводятся и не пишутся в журнал и принимаются только из стандартного ввода: аргументы видны другим пользователям.",
	},
	{
		"--json prints one object per line: command (as far as it may be shown), hidden (bytes that may not), data, sw, meaning, microseconds; for a reset: reset, atr.",
		"--json болса, әр жолға бір нысан шығады: command (көрсетуге болатын бөлігі), hidden (көрсетуге болмайтын байттар саны), data, sw, meaning, microseconds; reset үшін: reset, atr.",
		"С --json выводится по объекту на строку: command (сколько можно показать), hidden (сколько байтов нельзя), data, sw, meaning, microseconds; для сброса: reset, atr.",
	},

	{"Show everything that can be managed, on a token in software", "Басқаруға болатынның бәрін бағдарламалық токенде көрсету", "Показать всё, чем можно управлять, на программном токене"},
	{
		"Show everything that can be managed, on a token in software of its own, which is gone afterwards: the information window, a log-in with the default PIN, both PIN changes, ten wrong PINs and the unblocking, a new name, a certificate that comes, signs and goes, and formatting. Each command is printed as it would be typed, with what is typed at its prompts (PINs as stars) and its result. A result that is not as expected ends it with exit code 1.",
		"Басқаруға болатынның бәрін соңынан жойылатын бағдарламалық токенде көрсетеді: ақпарат терезесі, әдепкі ПИН кодпен кіру, екі ПИН кодты өзгерту, он қате ПИН код және бұғаттан шығару, жаңа ат, импортталып, қол қойып, жойылатын сертификат және пішімдеу. Әр пәрмен терілетін түрінде, сұрауларға терілетінімен (ПИН кодтар жұлдызшамен) және нәтижесімен шығады. Нәтиже күтілгендей болмаса, шығу коды 1-мен аяқталады.",
		"Показать всё, чем можно управлять, на собственном программном токене, который потом исчезает: окно информации, вход с PIN-кодом по умолчанию, смену обоих PIN-кодов, десять неверных PIN-кодов и разблокировку, новое имя, сертификат, который импортируется, подписывает и удаляется, и форматирование. Каждая команда выводится так, как её набирают, вместе с ответами на её запросы (PIN-коды звёздочками) и результатом. Если результат не такой, как ожидался, показ прекращается с кодом завершения 1.",
	},
	{
		"--json prints an object with the keys passed, commands (how many were run)",
		"--json болса, мына кілттері бар нысан шығады: passed, commands (нешеуі орындалды)",
		"С --json выводится объект с ключами passed, commands (сколько выполнено)",
	},

	{"Serve virtual tokens over USB/IP or to pcscd", "Виртуалды токендерді USB/IP арқылы немесе pcscd қызметіне ұсыну", "Предоставить виртуальные токены по USB/IP или службе pcscd"},
	{
		"Serve tokens in software: over USB/IP, or to pcscd through vpcd, or both.",
		"Бағдарламалық токендерді ұсынады: USB/IP арқылы, vpcd арқылы pcscd қызметіне, немесе екеуіне де.",
		"Предоставить программные токены: по USB/IP, службе pcscd через vpcd или и так, и так.",
	},
	{
		"Over USB/IP, a Linux kernel with the module vhci-hcd that attaches a token sees a USB device like any other, down to its endpoints. ADDR is HOST:PORT; without a port it is 3240. Each token has a bus id of its own.",
		"USB/IP арқылы vhci-hcd модулі бар Linux ядросы токенді қосып, кәдімгі USB құрылғысын көреді, соңғы нүктелеріне дейін. ADDR — HOST:PORT; порт берілмесе, 3240. Әр токеннің шинадағы өз идентификаторы бар.",
		"По USB/IP ядро Linux с модулем vhci-hcd, подключив токен, видит обычное устройство USB, вплоть до конечных точек. ADDR — это HOST:PORT; без порта 3240. У каждого токена свой идентификатор на шине.",
	},
	{
		"vpcd is the virtual reader of the vsmartcard project, a driver of pcscd (package vsmartcard-vpcd): it listens on HOST:PORT, 35963 without a port, and every application that uses pcscd finds the card in it. The first card goes to PORT, the next to PORT+1 and so on; the package of Debian has two readers. Start pcscd before or after: a reader that is not there, or leaves, is waited for.",
		"vpcd — vsmartcard жобасының виртуалды оқу құрылғысы, pcscd драйвері (vsmartcard-vpcd дестесі): ол HOST:PORT мекенжайында тыңдайды, порт берілмесе, 35963, ал pcscd пайдаланатын әр қолданба картаны сонда табады. Бірінші карта PORT портына, келесісі PORT+1 портына барады және солай жалғасады; Debian дестесінде екі оқу құрылғысы бар. pcscd қызметін бұрын не кейін іске қосыңыз: жоқ не кеткен оқу құрылғысы күтіледі.",
		"vpcd — виртуальный считыватель проекта vsmartcard, драйвер pcscd (пакет vsmartcard-vpcd): он слушает на HOST:PORT, без порта 35963, и каждое приложение, которое пользуется pcscd, находит в нём карту. Первая карта идёт на PORT, следующая на PORT+1 и так далее; в пакете Debian два считывателя. Запустить pcscd можно раньше или позже: считывателя, которого нет или который пропал, команда ждёт.",
	},
	{
		"Both give one token to two readers: a command through one takes it from the other, as if it had been pulled out there, and whoever had logged in is logged out. Neither has protection of its own: serve on a network only what anybody on it may use.",
		"Екеуі бірге бір токенді екі оқу құрылғысына береді: біреуі арқылы келген пәрмен оны екіншісінен алады, ол жақта ажыратылғандай болады, ал кірген адам шығарылады. Екеуінің де өз қорғанысы жоқ: желіде кез келген адам пайдалана алатынды ғана ұсыныңыз.",
		"Вместе они дают один токен двум считывателям: команда через один забирает его у другого, как если бы его там вынули, и вошедший выходит. Своей защиты нет ни у того, ни у другого: предоставляйте в сеть только то, чем в ней может пользоваться любой.",
	},
	{
		"A virtual token leaves the factory with user PIN 12345678, administrator PIN 87654321 and the id 32D18A58, from which the ids of further tokens count on. A profile of two slots has a card in each.",
		"Виртуалды токен зауыттан Пайдаланушының 12345678, Әкімшінің 87654321 ПИН кодымен және 32D18A58 ID нөмірімен шығады, келесі токендердің нөмірлері содан әрі саналады. Екі слотты профильдің әр слотында карта бар.",
		"Виртуальный токен выходит с завода с PIN-кодом Пользователя 12345678, Администратора 87654321 и ID 32D18A58, от которого отсчитываются ID следующих. У профиля с двумя слотами карта есть в каждом.",
	},
	{
		`--state keeps what is on the card in FILE, for the next time, and what is on
further cards in FILE.2, FILE.3 and so on. A file that is not there is made.
--factory starts over: what the files hold is lost. --vendor-formatted makes a
new token as the vendor's software formats it, not as OpenSC does; that is for
a token that is made now, so with a file that is there it needs --factory.
Without --state every start is a new token, which ends with the command. The
token of --backend virtual is this one:
  --state "${XDG_STATE_HOME:-$HOME/.local/state}/kaztoken/virtual.state"`,
		`--state картадағыны келесі жолға FILE файлында, ал келесі карталардағыны
FILE.2, FILE.3 және тағы сондай файлдарда сақтайды. Жоқ файл жасалады.
--factory бәрін басынан бастайды: файлдардағы жоғалады. --vendor-formatted жаңа
токенді OpenSC емес, өндіруші бағдарламасы пішімдегендей жасайды; бұл қазір
жасалатын токенге арналған, сондықтан файл бар болса, --factory керек. --state
болмаса, әр іске қосу — пәрменмен бірге аяқталатын жаңа токен. --backend virtual
токені мынау:
  --state "${XDG_STATE_HOME:-$HOME/.local/state}/kaztoken/virtual.state"`,
		`--state хранит содержимое карты в FILE до следующего раза, а содержимое
следующих карт — в FILE.2, FILE.3 и так далее. Если файла нет, он создаётся.
--factory начинает заново: то, что в файлах, теряется. --vendor-formatted
создаёт новый токен таким, каким его форматирует программа производителя, а не
OpenSC; это для токена, который создаётся сейчас, поэтому, если файл есть,
нужен --factory. Без --state каждый запуск — новый токен, который исчезает
вместе с командой. Токен для --backend virtual такой:
  --state "${XDG_STATE_HOME:-$HOME/.local/state}/kaztoken/virtual.state"`,
	},
	{
		`--json prints an object, once the tokens can be reached, with the keys
  profile, and of the first token usb (as in list), address, bus_id;
  tokens, an array of one object per card: id, usb, bus_id, slot, vpcd, state
address and bus_id are empty without --usbip, vpcd without --vpcd, and state
without --state.`,
		`--json болса, токендер қолжетімді болғанда мына кілттері бар нысан шығады:
  profile және бірінші токеннің usb (list пәрменіндегідей), address, bus_id;
  tokens, әр картаға бір нысаннан тұратын жиым: id, usb, bus_id, slot, vpcd, state
address пен bus_id --usbip болмаса, vpcd --vpcd болмаса, ал state --state
болмаса, бос.`,
		`С --json, когда токены доступны, выводится объект с ключами
  profile и для первого токена usb (как в list), address, bus_id;
  tokens, массив объектов по одному на карту: id, usb, bus_id, slot, vpcd, state
address и bus_id пусты без --usbip, vpcd без --vpcd, а state без --state.`,
	},
	{"Profiles: {}", "Профильдер: {}", "Профили: {}"},
	{"start over: what is in the files of --state is lost", "басынан бастау: --state файлдарындағы жоғалады", "начать заново: то, что в файлах --state, теряется"},
	{"`NAME` of the kind of device", "құрылғы түрінің аты, `NAME`", "имя вида устройства `NAME`"},
	{"`FILE` that keeps the first token; FILE.2, FILE.3 … keep the others", "бірінші токен сақталатын `FILE`; қалғандары FILE.2, FILE.3 … файлдарында", "файл `FILE` для первого токена; остальные в FILE.2, FILE.3 …"},
	{"`N` tokens at once, 1 to {}", "бірден неше токен, `N`, ең көбі {}", "сколько токенов сразу, `N`, от 1 до {}"},
	{"`ADDR` to serve USB/IP on", "USB/IP ұсынылатын мекенжай, `ADDR`", "адрес `ADDR`, на котором предоставлять USB/IP"},
	{"make new tokens as the vendor's software formats them", "жаңа токендерді өндіруші бағдарламасы пішімдегендей жасау", "создавать новые токены такими, какими их форматирует программа производителя"},
	{"`HOST:PORT` of the virtual reader to put the card into", "карта салынатын виртуалды оқу құрылғысының мекенжайы, `HOST:PORT`", "адрес `HOST:PORT` виртуального считывателя, в который вставить карту"},

	{"Print the udev rules that give users access", "Пайдаланушыларға рұқсат беретін udev ережелерін шығару", "Вывести правила udev, которые дают доступ пользователям"},
	{
		"Print the udev rules file. Installed, it gives access to tokens and readers to whoever sits at the machine (uaccess) and to the members of a group.",
		"udev ережелер файлын шығарады. Орнатылса, ол токендер мен оқу құрылғыларына компьютер алдындағы адамға (uaccess) және топ мүшелеріне рұқсат береді.",
		"Вывести файл правил udev. Установленный, он даёт доступ к токенам и считывателям тому, кто сидит за компьютером (uaccess), и членам группы.",
	},
	{"`GROUP` that has access, empty for none", "рұқсаты бар `GROUP`, ешқайсысы болмаса, бос", "группа `GROUP`, у которой есть доступ; пусто, если никакая"},
	{"keep pcscd away from the tokens", "pcscd қызметін токендерге жібермеу", "не подпускать pcscd к токенам"},
	{"Print the version and what this build can do", "Нұсқаны және бұл құраманың мүмкіндіктерін шығару", "Вывести версию и возможности этой сборки"},
	{"Print the version and what this build can do.", "Нұсқаны және бұл құраманың мүмкіндіктерін шығарады.", "Вывести версию и возможности этой сборки."},
	{
		`--json prints an object with the keys
  version, go, platform, usb_drivers (the default one first)`,
		`--json болса, мына кілттері бар нысан шығады:
  version, go, platform, usb_drivers (әдепкісі бірінші)`,
		`С --json выводится объект с ключами
  version, go, platform, usb_drivers (первый — по умолчанию)`,
	},
}
